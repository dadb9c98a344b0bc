"""Query workers: the dispatcher that forks them, the worker loop, the pool, framing and the sandbox."""
