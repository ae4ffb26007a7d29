-- One row per product, with the category that it stands in and the supplier that stands in it.
select p.productID as product_id, p.productName as product, p.quantityPerUnit as quantity_per_unit,
  p.discontinued as is_discontinued, categoryName as category, p.supplier.companyName as supplier,
  p.supplier.country as supplier_country
from (select categoryName, explode(products) as p from raw.northwind_catalog)
