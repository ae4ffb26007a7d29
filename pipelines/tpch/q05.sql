-- Local suppliers (query 5): revenue of 1994 in Asia, of suppliers of the buyer's own nation.
select b.nation, sum(f.revenue) as revenue
from mart.fact_orders f
join mart.dim_buyer b on f.buyer_key = b.buyer_key
join mart.dim_supplier s on f.supplier_key = s.supplier_key
join mart.dim_trade_day d on f.order_day_key = d.trade_day_key
where b.nation = s.nation and s.region = 'ASIA' and d.year = 1994
group by b.nation
order by revenue desc
