"""What a check costs, measured: `python -m tests.bench` (`make bench`) writes BENCHMARKS.md."""
