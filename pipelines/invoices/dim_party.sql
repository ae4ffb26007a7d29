-- One row per party and document that names it; the latest document has the say on name and place.
select supplier_id as party_id, supplier_name as party_name, supplier_city as city,
  supplier_country_code as country_code, issue_date as seen_on
from curated.invoice_headers
where supplier_id is not null
union all
select customer_id as party_id, customer_name as party_name, customer_city as city,
  customer_country_code as country_code, issue_date as seen_on
from curated.invoice_headers
where customer_id is not null
