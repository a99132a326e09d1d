"""Benchmarks: `make bench` runs them; every figure is printed with its minimum, median and maximum."""
