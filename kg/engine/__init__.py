"""Where the triples live: one protocol, and the engines that keep it."""
