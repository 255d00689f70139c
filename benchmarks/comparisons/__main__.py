"""`python benchmarks/comparisons`: see `run`."""

from run import main

main()
