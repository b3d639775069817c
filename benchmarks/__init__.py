"""Measurements side by side, in one run, as ratios: ``python -m benchmarks``, or with the names of some.

Every module here that has a `measure()` is a benchmark; the first line of its docstring is its title. Seconds differ
from machine to machine, ratios of things that were measured in turns much less.
"""
