"""Conversions from type to type, and the text of numbers and times."""
