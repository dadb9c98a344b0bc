"""Measurements of the budgets; run with `python -m bench` or `make bench`."""
