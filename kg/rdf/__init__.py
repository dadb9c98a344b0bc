"""RDF terms and documents: namespaces, IRIs, formats, parsing and serialising, JSON-LD, blank nodes and deltas."""
