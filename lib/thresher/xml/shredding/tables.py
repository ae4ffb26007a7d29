"""The tables that the compiled loops share: rows of words, each word named here.

A table is an address and rows of eight or sixteen words; so that the loops take few arguments and compile fast.
"""

from thresher.xml.shredding.machine import row_of_words, table

# --- settings: one row of words
(
    NAMES,  # addresses of the tables below
    HASHES,
    HASH_MASK,
    FIELDS,
    POOL,
    STACK,
    IS_SPARK,  # the dialect
    IS_LEARNING,  # whether an unknown name becomes a new field
    TRIMS,
    IS_LOCAL,  # names without their prefix
    NO_ATTRIBUTES,
    HIDES_DECLARATIONS,  # of namespaces: they are no fields
    IS_NAMESPACED,  # names are told by their URIs: outside of the loops, for each set of declarations
    JUDGES_ROOTS,  # whether a root's name and declarations are judged outside of the loops
    SCOPE,  # of this document: added to a field's number where a name is looked up below it
    HAS_WILDCARD,
    IS_TEXT,  # documents come from a text column
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    MAX_ATTRIBUTES,
    NUMBER,  # of the element started last, over all documents
    NAME_COUNT,
    NAME_ROOM,
    FIELD_COUNT,
    FIELD_ROOM,
    POOL_USED,
    POOL_ROOM,
    MISS_PARENT,  # a name that the loops cannot judge: where it stood
    MISS_KIND,
    MISS_ADDRESS,
    MISS_LENGTH,
    NULL_TEXT,  # a text that stands for null: its address and length, or -1
    NULL_LENGTH,
    HAS_FORMATS,
    PREFERS_DATE,
    PREFERS_DECIMAL,
    PREFIX,  # of attributes' fields, folded: address and length
    PREFIX_LENGTH,
    TEXT_KEY,  # the key of text among fields, folded
    TEXT_KEY_LENGTH,
    SCRATCH,  # room for a name
    SCRATCH_ROOM,
    UNKNOWN,  # room for the attributes of one tag that have no field
    ROOT_ENTRY,  # the name of the root read last
    IS_NOTING,  # whether what has no place is noted for the reference
) = range(46)
SETTINGS = 64

# --- names: what a child or attribute of a field may be called, sixteen words
FIRST, LAST, MASK, LENGTH, TARGET, NEXT, STAMP, PARENT, PLACE, KIND, SEEN = range(11)
ELEMENT, ATTRIBUTE, TEXT, FOLDED = range(4)
ROOT = 4  # a root's name and its declarations, as written; its target is the scope of all names in the document
SCOPE_SHIFT = 32
FIELD_MASK = (1 << SCOPE_SHIFT) - 1

# --- fields: eight words
FORM, IS_ARRAY, TEXT_FIELD, STANDS, FIRST_CHILD, FIRST_ATTRIBUTE, VALUES, BYTES = range(8)
STRUCT, SCALAR, SKIPPED = range(3)

# --- open elements: eight words
OPEN_FIELD, OPEN_NAME, OPEN_LENGTH, OPEN_NUMBER, OPEN_ENTRY, OPEN_STRAY = range(6)

# --- the tape: two words an entry: number << 8 | kind and flags; start << 32 | length
# A stray has no place in the field that it names (RAW: it is a text); an earlier value gives way to a later one.
DOCUMENT, START, VALUE, END, STRAY, EARLIER = range(6)
KIND_MASK = 15
RAW, FROM_ATTRIBUTE, IS_NIL = 16, 32, 64

# --- notes: a stray, an earlier value, or one that is not plainly of its type; four words
# its entry on the tape, the document, and the row of its field: of an array, the item
NOTED_CODE, NOTED_SPAN, NOTED_DOCUMENT, NOTED_ROW = range(4)
NOTE_WORDS = 4

# --- what became of a document
READ, NOTHING, LEFT = range(3)

# --- why a document is not read here
HARD, FULL, UNKNOWN_NAME = -1, -2, -3


setting, set_setting = row_of_words()
get, put = table(8)
get_name, put_name = table(16)
