"""Loops over plain arrays that numba compiles; imported where they run, since numba takes a second to load."""
