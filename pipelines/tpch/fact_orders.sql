-- One row per line of an order. Amounts in the currency of the source; revenue is the price less the discount, charge has
-- the tax on top, both to the last digit. The region is that of the buyer as it is now.
select l_orderkey as order_id, l_linenumber as line_number, l_partkey as part_id, l_suppkey as supplier_id,
  o_custkey as buyer_id, c_nationkey as nation_id, o_orderdate as order_date, l_shipdate as ship_date,
  l_receiptdate as receipt_date, o_orderstatus as order_status, o_orderpriority as order_priority,
  o_shippriority as ship_priority, l_returnflag as return_flag, l_linestatus as line_status, l_shipmode as ship_mode,
  l_quantity as quantity, l_extendedprice as price, l_discount as discount, l_tax as tax,
  cast(l_extendedprice * (1 - l_discount) as decimal(18,4)) as revenue,
  cast(l_extendedprice * (1 - l_discount) * (1 + l_tax) as decimal(18,6)) as charge
from raw.tpch_lineitem
join raw.tpch_orders on l_orderkey = o_orderkey
left join raw.tpch_customer on o_custkey = c_custkey
