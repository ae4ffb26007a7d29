-- One row per customer, those without orders too. An order belongs to the customer whose site it goes to.
select c.cust_id, c.name, c.mktsegment, count(o.order_id) as order_count
from raw.shop_customers c
left join raw.shop_customer_sites s on s.cust_id = c.cust_id
left join raw.shop_sales_orders o on o.site_id = s.site_id
group by c.cust_id, c.name, c.mktsegment
