"""The parts that `benchmarks/ingest.py` measures."""
