-- One row per product of an order. Amounts in the currency of the source; net is gross less the discount, to the last
-- digit.
with lines as (
  select orderID, customer, employee, shipped, ordered, explode(details) as d from raw.northwind_order_documents
)
select orderID as order_id, d.product.productID as product_id, customer.customerID as customer_id,
  employee.employeeID as employee_id, shipped.via as shipper_id, cast(ordered as date) as order_date,
  cast(shipped.`on` as date) as shipped_date, cast(d.quantity as int) as quantity,
  cast(d.unitPrice as decimal(12,2)) as unit_price, cast(d.discount as decimal(4,2)) as discount,
  cast(cast(d.unitPrice as decimal(12,2)) * cast(d.quantity as int) as decimal(18,2)) as gross_amount,
  cast(cast(d.unitPrice as decimal(12,2)) * cast(d.quantity as int) * (1 - cast(d.discount as decimal(4,2)))
    as decimal(18,4)) as net_amount
from lines
