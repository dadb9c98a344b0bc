"""Turn values of the graph into words, numbers, pictures and tables."""
