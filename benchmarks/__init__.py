"""Benchmarks: one module a table, `python -m benchmarks` runs the short ones."""
