-- One row per line of a document that counts once. An item is known by its standard number, else by the number or the
-- name that its supplier gives it. line_amount is what the document says, before tax; net_amount has the sign it has for
-- the customer: a credit note takes away.
with lines as (
  select _key, _row_key, ID as line_id, InvoicedQuantity as quantity, InvoicedQuantity_unitCode as unit_code,
    Price_PriceAmount as price_amount, LineExtensionAmount as line_amount, LineExtensionAmount as net_amount,
    LineExtensionAmount_currencyID as line_currency, Item_StandardItemIdentification_ID as standard_id,
    Item_SellersItemIdentification_ID as sellers_id, Item_Name as item_name
  from curated.invoice_lines
  union all
  select _key, _row_key, ID as line_id, CreditedQuantity as quantity, CreditedQuantity_unitCode as unit_code,
    Price_PriceAmount as price_amount, LineExtensionAmount as line_amount, -LineExtensionAmount as net_amount,
    LineExtensionAmount_currencyID as line_currency, Item_StandardItemIdentification_ID as standard_id,
    Item_SellersItemIdentification_ID as sellers_id, Item_Name as item_name
  from curated.credit_note_lines
)
select
  l._key as line_key,
  h.document_key,
  h.document_id,
  h.document_type,
  l.line_id,
  h.issue_date,
  h.supplier_id,
  h.customer_id,
  coalesce(
    l.standard_id,
    concat(coalesce(h.supplier_id, ''), '/', l.sellers_id),
    concat(coalesce(h.supplier_id, ''), '/', l.item_name)) as item_id,
  l.item_name,
  l.quantity,
  l.unit_code,
  l.price_amount,
  l.line_amount,
  l.net_amount,
  coalesce(l.line_currency, h.currency) as currency
from lines l
join curated.invoice_headers h on l._row_key = h.document_key
