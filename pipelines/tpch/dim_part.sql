-- One row per part; category and material are the parts of its type, from the general to the special.
select p_partkey as part_id, p_name as part, p_mfgr as manufacturer, p_brand as brand,
  split_part(p_type, ' ', 3) as material, split_part(p_type, ' ', 1) as category, p_type as type,
  p_size as size, p_container as container, p_retailprice as retail_price
from raw.tpch_part
