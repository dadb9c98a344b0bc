"""SPARQL as text: tokens, the syntax tree, the parsers of queries and updates, and syntax errors. Knows no data."""
