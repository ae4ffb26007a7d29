"""Notices of runs: who is told of a failure, of the first success after it, and of a run that took too long."""
