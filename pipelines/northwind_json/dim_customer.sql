-- One row per customer of the directory.
select c.customerID as customer_id, c.companyName as customer, c.contactName as contact, c.contactTitle as contact_title,
  c.city, cast(c.region as string) as region, c.postalCode as postal_code, c.country
from (select explode(customers) as c from raw.northwind_directory)
