"""Benchmarks: programs for people, not timed tests. Each prints ratios within one run, the machine and the
spread."""
