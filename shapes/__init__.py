"""The SHACL shapes, as Turtle files that `kg.resources` reads."""
