"""JSON, CSV and XML inside columns."""
