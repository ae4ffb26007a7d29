-- Shipping priority (query 3): the ten orders of most revenue that were not shipped on 15 March 1995.
select f.order_id, sum(f.revenue) as revenue, o.date as order_date, f.ship_priority
from mart.fact_orders f
join mart.dim_buyer b on f.buyer_key = b.buyer_key
join mart.dim_trade_day o on f.order_day_key = o.trade_day_key
join mart.dim_trade_day s on f.ship_day_key = s.trade_day_key
where b.segment = 'BUILDING' and o.date < date '1995-03-15' and s.date > date '1995-03-15'
group by f.order_id, o.date, f.ship_priority
order by revenue desc, order_date
limit 10
