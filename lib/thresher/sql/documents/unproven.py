"""The error for a value whose treatment by Spark is not known here."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Unproven(ValueError):
    """The value is beyond what is proven equal to Spark: the step stops rather than differ."""

    def __init__(self, what: str) -> None:
        super().__init__(f"not proven equal to Spark: {what}")


def not_too_deep(read: Callable[P, R]) -> Callable[P, R]:
    """The function, which stops by name where values are nested deeper than Python's stack."""

    @wraps(read)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return read(*args, **kwargs)
        except RecursionError:
            raise Unproven("JSON as deep as this") from None

    return guarded
