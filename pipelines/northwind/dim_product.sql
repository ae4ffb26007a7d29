-- One row per product, with its category and its supplier: the levels above it, flattened. A product whose category or
-- supplier was refused stays.
select p.productID as product_id, p.productName as product, p.quantityPerUnit as quantity_per_unit,
  p.discontinued <> 0 as is_discontinued, c.categoryName as category, s.companyName as supplier,
  s.country as supplier_country
from raw.northwind_products p
left join raw.northwind_categories c on p.categoryID = c.categoryID
left join raw.northwind_suppliers s on p.supplierID = s.supplierID
