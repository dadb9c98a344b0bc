"""The W3C's conformance suites, run over HTTP against the real server; a package, so that names may recur elsewhere."""
