"""Compute the groups of aggregate queries from numpy arrays instead of row by row."""
