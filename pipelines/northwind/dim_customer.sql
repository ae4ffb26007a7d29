-- One row per customer.
select customerID as customer_id, companyName as customer, contactName as contact, contactTitle as contact_title,
  city, region, postalCode as postal_code, country
from raw.northwind_customers
