"""`python benchmarks/bench`: see `bench`."""

from bench import main

main()
