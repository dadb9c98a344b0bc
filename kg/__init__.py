"""The domain: facts, evidence, shapes and queries. It knows nothing of HTTP and reads no environment."""
