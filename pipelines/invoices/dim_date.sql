-- One row per day on which a document was issued.
select distinct
  issue_date as date,
  year(issue_date) as year,
  quarter(issue_date) as quarter,
  month(issue_date) as month,
  day(issue_date) as day
from curated.invoice_headers
where issue_date is not null
