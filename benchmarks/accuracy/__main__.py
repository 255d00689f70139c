"""`python benchmarks/accuracy`: see `run`."""

from run import main

main()
