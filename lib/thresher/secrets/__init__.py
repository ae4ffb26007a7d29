"""Secrets: where they are kept, how notebooks open them, and the gate that keeps them out of what is written."""
