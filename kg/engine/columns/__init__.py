"""Answer queries that group and count from arrays instead of row by row."""
