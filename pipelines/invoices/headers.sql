-- One row per document, each document once. A party is known by its electronic address, else by its company number,
-- else by its name. declared_amount is the sum of the lines as the document states it, before tax, in `currency`.
select
  d._key as document_key,
  d.ID as document_id,
  case when d.CreditNoteTypeCode is not null then 'credit note' else 'invoice' end as document_type,
  d.IssueDate as issue_date,
  d.DocumentCurrencyCode as currency,
  d.LegalMonetaryTotal_LineExtensionAmount as declared_amount,
  coalesce(
    concat(d.AccountingSupplierParty_Party_EndpointID_schemeID, ':', d.AccountingSupplierParty_Party_EndpointID),
    d.AccountingSupplierParty_Party_EndpointID,
    d.AccountingSupplierParty_Party_PartyLegalEntity_CompanyID,
    d.AccountingSupplierParty_Party_PartyLegalEntity_RegistrationName,
    d.AccountingSupplierParty_Party_PartyName_Name) as supplier_id,
  coalesce(
    d.AccountingSupplierParty_Party_PartyLegalEntity_RegistrationName,
    d.AccountingSupplierParty_Party_PartyName_Name) as supplier_name,
  d.AccountingSupplierParty_Party_PostalAddress_CityName as supplier_city,
  d.AccountingSupplierParty_Party_PostalAddress_Country_IdentificationCode as supplier_country_code,
  coalesce(
    concat(d.AccountingCustomerParty_Party_EndpointID_schemeID, ':', d.AccountingCustomerParty_Party_EndpointID),
    d.AccountingCustomerParty_Party_EndpointID,
    d.AccountingCustomerParty_Party_PartyLegalEntity_CompanyID,
    d.AccountingCustomerParty_Party_PartyLegalEntity_RegistrationName,
    d.AccountingCustomerParty_Party_PartyName_Name) as customer_id,
  coalesce(
    d.AccountingCustomerParty_Party_PartyLegalEntity_RegistrationName,
    d.AccountingCustomerParty_Party_PartyName_Name) as customer_name,
  d.AccountingCustomerParty_Party_PostalAddress_CityName as customer_city,
  d.AccountingCustomerParty_Party_PostalAddress_Country_IdentificationCode as customer_country_code
from curated.invoice_documents d
join curated.invoices_once k on d._key = k._key
