"""The gate: SHACL through pySHACL, incremental validation, suggestions, and the lines that findings come from."""
