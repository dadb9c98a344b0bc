"""Rewrite a query to an equal one that the embedded engine answers faster."""
