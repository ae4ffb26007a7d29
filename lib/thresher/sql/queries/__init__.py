"""Queries and what they are made of: FROM, SELECT, GROUP BY, subqueries, set operations."""
