"""The ways that `benchmarks/runner.py` compares."""
