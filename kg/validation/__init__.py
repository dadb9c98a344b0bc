"""The gate: SHACL validation in full and incrementally, reports, suggestions and source lines of findings."""
