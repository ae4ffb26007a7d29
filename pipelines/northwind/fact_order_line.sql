-- One row per product of an order. A line whose order was refused stays: who bought and when is then unknown, what it
-- was worth is not. Amounts in the currency of the source; net is gross less the discount, to the last digit.
select d.orderID as order_id, d.productID as product_id, o.customerID as customer_id, o.employeeID as employee_id,
  o.shipVia as shipper_id, cast(o.orderDate as date) as order_date, cast(o.shippedDate as date) as shipped_date,
  cast(d.quantity as int) as quantity, cast(d.unitPrice as decimal(12,2)) as unit_price,
  cast(d.discount as decimal(4,2)) as discount,
  cast(cast(d.unitPrice as decimal(12,2)) * cast(d.quantity as int) as decimal(18,2)) as gross_amount,
  cast(cast(d.unitPrice as decimal(12,2)) * cast(d.quantity as int) * (1 - cast(d.discount as decimal(4,2)))
    as decimal(18,4)) as net_amount
from raw.northwind_order_details d
left join raw.northwind_orders o on d.orderID = o.orderID
