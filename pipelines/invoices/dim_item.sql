-- One row per item and line that names it; the latest document has the say on the name.
select item_id, item_name, issue_date as seen_on
from curated.invoice_items
where item_id is not null
