-- One row per line of an invoice or credit note, amounts before tax in `currency`.
select line_key, document_key, document_id, document_type, line_id, issue_date, supplier_id, customer_id, item_id,
  quantity, unit_code, price_amount, line_amount, net_amount, currency
from curated.invoice_items
