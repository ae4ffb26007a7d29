-- Returned items (query 10): the twenty buyers of the last quarter of 1993 who sent back most.
select b.buyer_id, b.buyer, sum(f.revenue) as revenue, b.balance, b.nation, b.address, b.phone, b.comment
from mart.fact_orders f
join mart.dim_buyer b on f.buyer_key = b.buyer_key
join mart.dim_trade_day d on f.order_day_key = d.trade_day_key
where f.return_flag = 'R' and d.year = 1993 and d.quarter = 4
group by b.buyer_id, b.buyer, b.balance, b.phone, b.nation, b.address, b.comment
order by revenue desc
limit 20
