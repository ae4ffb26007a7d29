-- One row per nation, with its region: the hierarchy in one table.
select n_nationkey as nation_id, n_name as nation, r_name as region
from raw.tpch_nation
join raw.tpch_region on n_regionkey = r_regionkey
