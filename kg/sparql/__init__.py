"""SPARQL as text: tokens, syntax tree, the parsers of queries and updates, and syntax errors. No access to data."""
