"""Invoices and credit notes in UBL 2.1, shaped as Peppol BIS Billing 3 asks, between invented companies.

The totals are computed from the lines, except where a trap says otherwise.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from xml.sax.saxutils import escape, quoteattr

UBL = "urn:oasis:names:specification:ubl:schema:xsd:"
CENT = Decimal("0.01")
COMPANY_REGISTERS = {"SE": "0007", "DK": "0184", "NO": "0192", "DE": "0204"}  # ISO/IEC 6523 codes


@dataclass(frozen=True)
class Line:
    """One line: what, how many of which unit, at which price; allowances lower the amount, charges raise it."""

    name: str
    quantity: str
    price: str
    unit: str = "C62"  # pieces; HUR hours, KGM kilograms, in UN/ECE recommendation 20
    sellers_id: str = ""
    standard_id: str = ""
    allowance: str = "0"
    charge: str = "0"

    @property
    def amount(self) -> Decimal:
        gross = Decimal(self.quantity) * Decimal(self.price) - Decimal(self.allowance) + Decimal(self.charge)
        return gross.quantize(CENT, ROUND_HALF_UP)


@dataclass(frozen=True)
class Document:
    """One invoice or credit note. `supplier` and `customer` number the invented companies."""

    number: str
    issued: str
    currency: str
    lines: tuple[Line, ...]
    kind: str = "Invoice"
    supplier: int = 1
    customer: int = 1
    country: str = "SE"
    tax_percent: str = "25"
    allowance: str = "0"
    charge: str = "0"
    corrects: str = ""
    line_total: str = ""  # what the document declares, where that differs from its lines

    @property
    def declared(self) -> Decimal:
        return Decimal(self.line_total) if self.line_total else sum((line.amount for line in self.lines), Decimal(0))


def tag(name: str, content: str | Iterable[str], **attributes: str) -> list[str]:
    """An element as lines of text: a word on one line, or lines of children between its tags."""
    opened = name + "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    if isinstance(content, str):
        return [f"<{opened}>{escape(content)}</{name}>"]
    return [f"<{opened}>", *(f"  {line}" for line in content), f"</{name}>"]


def money(name: str, amount: Decimal | str, currency: str) -> list[str]:
    return tag(name, str(amount), currencyID=currency)


def tax_category(element: str, percent: str) -> list[str]:
    scheme = tag("cac:TaxScheme", tag("cbc:ID", "VAT"))
    return tag(element, [*tag("cbc:ID", "S"), *tag("cbc:Percent", percent), *scheme])


def allowance_charge(is_charge: bool, reason: str, amount: str, document: Document, taxed: bool) -> list[str]:
    """An allowance or a charge, of the document (then it names its tax) or of a line; nothing where it is 0."""
    if not Decimal(amount):
        return []
    content = [
        *tag("cbc:ChargeIndicator", "true" if is_charge else "false"),
        *tag("cbc:AllowanceChargeReason", reason),
        *money("cbc:Amount", Decimal(amount).quantize(CENT), document.currency),
    ]
    return tag(
        "cac:AllowanceCharge", content + (tax_category("cac:TaxCategory", document.tax_percent) if taxed else [])
    )


def party(role: str, name: str, number: int, country: str) -> list[str]:
    company = f"{country}99{number:07}"
    address = [
        *tag("cbc:StreetName", f"Example Street {number}"),
        *tag("cbc:CityName", "Sampletown"),
        *tag("cbc:PostalZone", f"{10000 + number}"),
        *tag("cac:Country", tag("cbc:IdentificationCode", country)),
    ]
    tax = [*tag("cbc:CompanyID", f"{company}01"), *tag("cac:TaxScheme", tag("cbc:ID", "VAT"))]
    legal = [*tag("cbc:RegistrationName", name), *tag("cbc:CompanyID", company, schemeID=COMPANY_REGISTERS[country])]
    content = [
        *tag("cbc:EndpointID", f"999{number:010}", schemeID="0088"),
        *tag("cac:PartyName", tag("cbc:Name", name)),
        *tag("cac:PostalAddress", address),
        *tag("cac:PartyTaxScheme", tax),
        *tag("cac:PartyLegalEntity", legal),
    ]
    return tag(f"cac:{role}", tag("cac:Party", content))


def line_element(index: int, line: Line, document: Document) -> list[str]:
    quantity = "cbc:InvoicedQuantity" if document.kind == "Invoice" else "cbc:CreditedQuantity"
    item = tag("cbc:Name", line.name)
    if line.sellers_id:
        item += tag("cac:SellersItemIdentification", tag("cbc:ID", line.sellers_id))
    if line.standard_id:
        item += tag("cac:StandardItemIdentification", tag("cbc:ID", line.standard_id, schemeID="0160"))
    item += tax_category("cac:ClassifiedTaxCategory", document.tax_percent)
    content = [
        *tag("cbc:ID", str(index)),
        *tag(quantity, line.quantity, unitCode=line.unit),
        *money("cbc:LineExtensionAmount", line.amount, document.currency),
        *allowance_charge(False, "Discount", line.allowance, document, taxed=False),
        *allowance_charge(True, "Packing", line.charge, document, taxed=False),
        *tag("cac:Item", item),
        *tag("cac:Price", money("cbc:PriceAmount", line.price, document.currency)),
    ]
    return tag(f"cac:{document.kind}Line", content)


def totals(document: Document) -> list[str]:
    allowance, charge = Decimal(document.allowance).quantize(CENT), Decimal(document.charge).quantize(CENT)
    net = document.declared - allowance + charge
    tax = (net * Decimal(document.tax_percent) / 100).quantize(CENT, ROUND_HALF_UP)
    subtotal = [
        *money("cbc:TaxableAmount", net, document.currency),
        *money("cbc:TaxAmount", tax, document.currency),
        *tax_category("cac:TaxCategory", document.tax_percent),
    ]
    amounts = {
        "LineExtensionAmount": document.declared,
        "TaxExclusiveAmount": net,
        "TaxInclusiveAmount": net + tax,
        "AllowanceTotalAmount": allowance,
        "ChargeTotalAmount": charge,
        "PayableAmount": net + tax,
    }
    monetary = [line for name, amount in amounts.items() for line in money(f"cbc:{name}", amount, document.currency)]
    return [
        *tag("cac:TaxTotal", money("cbc:TaxAmount", tax, document.currency) + tag("cac:TaxSubtotal", subtotal)),
        *tag("cac:LegalMonetaryTotal", monetary),
    ]


def ubl(document: Document) -> str:
    """The document as XML text, without an XML declaration."""
    is_invoice = document.kind == "Invoice"
    reference = tag("cac:InvoiceDocumentReference", tag("cbc:ID", document.corrects))
    supplier, customer = f"Demo Supplier {document.supplier} Ltd", f"Demo Buyer {document.customer} Ltd"
    content = [
        *tag("cbc:CustomizationID", "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0"),
        *tag("cbc:ProfileID", "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0"),
        *tag("cbc:ID", document.number),
        *tag("cbc:IssueDate", document.issued),
        *tag(f"cbc:{document.kind}TypeCode", "380" if is_invoice else "381"),
        *tag("cbc:DocumentCurrencyCode", document.currency),
        *tag("cbc:BuyerReference", f"PO-{document.number}"),
        *(tag("cac:BillingReference", reference) if document.corrects else []),
        *party("AccountingSupplierParty", supplier, document.supplier, document.country),
        *party("AccountingCustomerParty", customer, 500 + document.customer, "SE"),
        *allowance_charge(False, "Volume discount", document.allowance, document, taxed=True),
        *allowance_charge(True, "Freight", document.charge, document, taxed=True),
        *totals(document),
        *(text for index, line in enumerate(document.lines, 1) for text in line_element(index, line, document)),
    ]
    spaces = {
        "xmlns": f"{UBL}{document.kind}-2",
        "xmlns:cac": f"{UBL}CommonAggregateComponents-2",
        "xmlns:cbc": f"{UBL}CommonBasicComponents-2",
    }
    return "\n".join(tag(document.kind, content, **spaces)) + "\n"


def utf8(text: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()


def numbered_prefixes(text: str) -> str:
    """The same document as a publisher writes it whose tool numbers the prefixes."""
    return text.replace("cac:", "ns2:").replace("cbc:", "ns3:").replace(":cac=", ":ns2=").replace(":cbc=", ":ns3=")


def basic_components_by_default(text: str) -> str:
    """The same document with the basic components in the default namespace, and a prefix for the document itself."""
    for kind in ("Invoice", "CreditNote"):
        text = text.replace(f"<{kind} xmlns=", f"<doc:{kind} xmlns:doc=").replace(f"</{kind}>", f"</doc:{kind}>")
    return text.replace("cbc:", "").replace(":cbc=", "=")


PAPER = Line("Printer paper A4", "10", "4.50", unit="XPK", sellers_id="PAP-A4")
HOURS = Line("Consulting", "7.5", "120.00", unit="HUR")
BOLTS = Line("Bolts M8", "1200", "0.0875", sellers_id="B-M8", standard_id="09990000000017")
SCREWS = Line("Screws, stainless", "500", "0.1234", standard_id="09990000000024")
FLOUR = Line("Flour", "250.5", "0.8999", unit="KGM", sellers_id="00412")
DESK = Line("Desk <140 x 70> & lamp", "2", "349.00", sellers_id="DSK-140", allowance="49.00", charge="15.00")
MANY = tuple(
    Line(f"Spare part {n:02}", str(n), f"{Decimal(n) * Decimal('1.25')}", sellers_id=f"SP-{n:02}") for n in range(1, 13)
)

# No trap in these.
ONE_LINE = Document("INV-1001", "2026-01-12", "EUR", (PAPER,), country="DE", tax_percent="19")
MANY_LINES = Document("INV-1002", "2026-01-15", "SEK", MANY, supplier=2)
ALLOWANCES = Document(
    "INV-1003", "2026-02-02", "DKK", (DESK, HOURS), supplier=3, country="DK", customer=2, allowance="50", charge="25"
)
FOUR_DECIMALS = Document("INV-1004", "2026-02-09", "NOK", (BOLTS, SCREWS, FLOUR), supplier=4, country="NO", customer=2)


def folder() -> dict[str, tuple[bytes, str, str]]:
    """Each file by its path: its bytes, what is special about it, what must happen."""
    many_lines = utf8(ubl(MANY_LINES))
    credit = replace(
        ONE_LINE, number="CRN-2001", kind="CreditNote", issued="2026-02-20", corrects="INV-1001",
        lines=(replace(PAPER, quantity="2"),),
    )  # fmt: skip
    negative = replace(
        ALLOWANCES, number="INV-1005", issued="2026-02-23", corrects="INV-1003", allowance="0", charge="0",
        lines=(replace(HOURS, quantity="-7.5"),),
    )  # fmt: skip
    numbered = Document("INV-1006", "2026-03-02", "EUR", (HOURS, PAPER), supplier=5, country="DE", tax_percent="19")
    default = Document("INV-1007", "2026-03-04", "SEK", (PAPER, HOURS), supplier=6, customer=3)
    wide = Document("INV-1008", "2026-03-09", "SEK", (Line("Smörgåstårta", "3", "425.00"),), supplier=7)
    wrong_sum = Document("INV-1009", "2026-03-11", "EUR", (PAPER, SCREWS), supplier=8, customer=3, line_total="116.70")
    older = Document("INV-0990", "2025-12-19", "NOK", (FLOUR,), supplier=4, country="NO", customer=2)
    order = (
        ubl(ONE_LINE).replace("Invoice-2", "Order-2").replace("<Invoice ", "<Order ").replace("</Invoice>", "</Order>")
    )
    return {
        "invoice_1001.xml": (utf8(ubl(ONE_LINE)), "One line, EUR", "One invoice, one line"),
        "invoice_1002.xml": (many_lines, "Twelve lines, SEK", "Lines in their order"),
        "invoice_1002_copy.xml": (
            many_lines,
            "Byte for byte `invoice_1002.xml`",
            "Known by its content; counted as duplicate, its amounts not twice in a fact",
        ),
        "invoice_1003.xml": (
            utf8(ubl(ALLOWANCES)),
            "Allowances and charges of the document and of a line, DKK; an item without any identification",
            "Line amounts after their own allowances; the document's apart from the lines",
        ),
        "invoice_1004.xml": (
            utf8(ubl(FOUR_DECIMALS)),
            "Prices with four decimals, kilograms, items with the seller's, the standard and both identifications, NOK",
            "Prices exact; `00412` and the standard numbers stay text",
        ),
        "invoice_1005.xml": (
            utf8(ubl(negative)),
            "A correction of INV-1003 as an invoice with a negative quantity",
            "Lowers the sums",
        ),
        "creditnote_2001.xml": (
            utf8(ubl(credit)),
            "A credit note: positive amounts in CreditNoteLine, for INV-1001",
            "Its lines are facts too, and lower the sums",
        ),
        "invoice_1006.xml": (
            utf8(numbered_prefixes(ubl(numbered))),
            "Prefixes `ns2:` and `ns3:`",
            "The same columns as `cac:` and `cbc:`",
        ),
        "invoice_1007.xml": (
            utf8(basic_components_by_default(ubl(default))),
            "The basic components in the default namespace",
            "The same columns as `cbc:`",
        ),
        "invoice_1008.xml": (
            ('\ufeff<?xml version="1.0" encoding="UTF-16"?>\n' + ubl(wide)).encode("utf-16-le"),
            "UTF-16 with byte order mark",
            "The item reads `Smörgåstårta`",
        ),
        "invoice_1009.xml": (
            utf8(ubl(wrong_sum)),
            "The lines sum to 106.70, the document declares 116.70",
            "Loaded as it is; the report shows the difference of 10.00",
        ),
        "invoice_1010.xml": (
            utf8(ubl(replace(MANY_LINES, number="INV-1010")))[:4000],
            "Cut off after 4,000 bytes",
            "The file is refused with the reason; the others are loaded",
        ),
        "order_3001.xml": (
            utf8(order),
            "Well-formed, but an order",
            "Not an invoice: refused or left out by name, never a fact",
        ),
        "readme.xml": (
            b"Dear customer, our invoices will follow by post.\n",
            "Plain text under an .xml name",
            "The file is refused with the reason",
        ),
        "2025/invoice_0990.xml": (
            utf8(ubl(older)),
            "In a subfolder",
            "Loaded where the pattern reaches into subfolders",
        ),
    }
