"""RDF as values and as text: namespaces, IRIs, formats, parsing and serialising, JSON-LD, blank nodes and deltas."""
