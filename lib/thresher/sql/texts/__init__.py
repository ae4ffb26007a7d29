"""Functions of strings, formats and patterns."""
