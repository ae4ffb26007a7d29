"""One run of a pipeline: what is decided of each step, and how it is carried out."""
