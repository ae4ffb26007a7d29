"""Hashes of rows and texts."""
