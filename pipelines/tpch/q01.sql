-- Pricing summary (query 1 of TPC-H): what was shipped up to 90 days before 1 December 1998.
select f.return_flag, f.line_status, sum(f.quantity) as sum_qty, sum(f.price) as sum_base_price,
  sum(f.revenue) as sum_disc_price, sum(f.charge) as sum_charge, avg(f.quantity) as avg_qty, avg(f.price) as avg_price,
  avg(f.discount) as avg_disc, count(*) as count_order
from mart.fact_orders f
join mart.dim_trade_day d on f.ship_day_key = d.trade_day_key
where d.date <= date '1998-09-02'
group by f.return_flag, f.line_status
order by f.return_flag, f.line_status
