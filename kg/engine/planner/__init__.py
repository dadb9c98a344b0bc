"""Rewrite queries to equal ones that the embedded engine evaluates faster."""
