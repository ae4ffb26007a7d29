-- One row per shipper.
select shipperID as shipper_id, companyName as shipper from raw.northwind_shippers
