-- The lines that a change can have touched: itself, its order, or the customer of its order.
select l_orderkey as order_id, l_linenumber as line_number from changed_tpch_lineitem
union
select l_orderkey, l_linenumber from raw.tpch_lineitem
join changed_tpch_orders on l_orderkey = o_orderkey
union
select l_orderkey, l_linenumber from raw.tpch_lineitem
join raw.tpch_orders on l_orderkey = o_orderkey
join changed_tpch_customer on o_custkey = c_custkey
