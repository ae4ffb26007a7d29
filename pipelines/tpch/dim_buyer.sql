-- One row per customer as it is now; the step keeps what it was before.
select c_custkey as buyer_id, c_name as buyer, c_mktsegment as segment, c_address as address, c_phone as phone,
  c_acctbal as balance, c_comment as comment, n_name as nation, r_name as region
from raw.tpch_customer
join raw.tpch_nation on c_nationkey = n_nationkey
join raw.tpch_region on n_regionkey = r_regionkey
