"""What `make` runs: the virtual environment, the checks, and real servers to test against."""
