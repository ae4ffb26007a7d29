"""Thresher: take what legacy systems deliver, thresh it into clean tables, build star schemas, render reports.

    import thresher as th
    lake = th.Lake("lake")
    lake.sql("select … from curated.courses")

The modules follow the way of the data: `th.ingest`, `th.flatten`, `th.dedupe`, `th.star`, `th.checks`;
`th.xml` parses documents.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thresher import checks, dedupe, errors, flatten, ingest, plots, star, xml
    from thresher.counts import Counts
    from thresher.engines.spark import session as spark
    from thresher.frame import Frame
    from thresher.incremental import touched
    from thresher.lake import Lake
    from thresher.landing import Landing, Sample
    from thresher.parameters.types import Date
    from thresher.queries import query
    from thresher.reconciliation import reconcile
    from thresher.secrets.store import Secret, secret

__version__ = "0.1.0"

# For deltalake's allocator, which reads it when it is loaded, and keeps for seconds what it has freed.
os.environ.setdefault("_RJEM_MALLOC_CONF", "narenas:1,dirty_decay_ms:0")

# Loaded when first used: the command line answers before pandas, pyarrow and DuckDB are in memory.
_PLACES = {
    "Counts": ("thresher.counts", "Counts"),
    "Date": ("thresher.parameters.types", "Date"),
    "Frame": ("thresher.frame", "Frame"),
    "Lake": ("thresher.lake", "Lake"),
    "Landing": ("thresher.landing", "Landing"),
    "Sample": ("thresher.landing", "Sample"),
    "Secret": ("thresher.secrets.store", "Secret"),
    "checks": ("thresher.checks", None),
    "dedupe": ("thresher.dedupe", None),
    "errors": ("thresher.errors", None),
    "flatten": ("thresher.flatten", None),
    "ingest": ("thresher.ingest", None),
    "plots": ("thresher.plots", None),
    "query": ("thresher.queries", "query"),
    "reconcile": ("thresher.reconciliation", "reconcile"),
    "secret": ("thresher.secrets.store", "secret"),
    "spark": ("thresher.engines.spark", "session"),
    "star": ("thresher.star", None),
    "touched": ("thresher.incremental", "touched"),
    "xml": ("thresher.xml", None),
}

__all__ = [
    "Counts",
    "Date",
    "Frame",
    "Lake",
    "Landing",
    "Sample",
    "Secret",
    "checks",
    "dedupe",
    "errors",
    "flatten",
    "ingest",
    "plots",
    "query",
    "reconcile",
    "secret",
    "spark",
    "star",
    "touched",
    "xml",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'thresher' has no attribute {name!r}; it has {', '.join(__all__)}")
    module, attribute = _PLACES[name]
    found = import_module(module)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
