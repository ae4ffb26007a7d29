-- The customers whose row may be another now: an order counts for the customer to whose site it goes.
select cust_id from changed_shop_customers
union
select cust_id from changed_shop_customer_sites
union
select s.cust_id
from changed_shop_sales_orders o
join raw.shop_customer_sites s on s.site_id = o.site_id
