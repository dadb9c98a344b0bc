"""HTTP itself: negotiation, bodies, caching, problems and observability. Knows nothing of the domain."""
