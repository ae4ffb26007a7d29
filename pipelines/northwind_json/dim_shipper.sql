-- One row per shipper of the directory.
select s.shipperID as shipper_id, s.companyName as shipper
from (select explode(shippers) as s from raw.northwind_directory)
