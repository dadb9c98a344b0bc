"""The ontology and its vocabularies, as Turtle files that `kg.resources` reads."""
