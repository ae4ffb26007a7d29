-- One row per supplier as it is now; the step keeps what it was before.
select s_suppkey as supplier_id, s_name as supplier, s_acctbal as balance, n_name as nation, r_name as region
from raw.tpch_supplier
join raw.tpch_nation on s_nationkey = n_nationkey
join raw.tpch_region on n_regionkey = r_regionkey
