"""When pipelines run: times and changes that make a run due, who runs it, ranges of dates, other schedulers."""
