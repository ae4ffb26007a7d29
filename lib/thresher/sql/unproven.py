"""The error for a value whose treatment by Spark is not known here."""


class Unproven(ValueError):
    """The value is beyond what is proven equal to Spark: the step stops rather than differ."""

    def __init__(self, what: str) -> None:
        super().__init__(f"not proven equal to Spark: {what}")
