"""curated → mart: dimensions with stable surrogate keys, facts that find them."""

from thresher.datasets import surrogate_name
from thresher.star.dates import dates
from thresher.star.dimension import Dimension, dimension
from thresher.star.fact import Fact, fact
from thresher.star.members import NOT_APPLICABLE, UNKNOWN

__all__ = ["NOT_APPLICABLE", "UNKNOWN", "Dimension", "Fact", "dates", "dimension", "fact", "surrogate_name"]
