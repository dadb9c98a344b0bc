"""Differences between two states of an RDF dataset."""

from dataclasses import dataclass

from kg.rdf.terms import NamedNode, Quad


@dataclass(frozen=True)
class Delta:
    """A change relative to a state of the dataset, which holds all of `removed` and none of `added`.

    `created` and `dropped` are the named graphs that the change creates and drops; a graph may be empty.
    """

    added: frozenset[Quad] = frozenset()
    removed: frozenset[Quad] = frozenset()
    created: frozenset[NamedNode] = frozenset()
    dropped: frozenset[NamedNode] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.created or self.dropped)

    def inverse(self) -> "Delta":
        """Return the change that undoes this one."""
        return Delta(self.removed, self.added, self.dropped, self.created)

    def followed_by(self, later: "Delta") -> "Delta":
        """Combine two changes into one; `later` is relative to the state after this change."""
        return Delta(
            added=(self.added - later.removed) | (later.added - self.removed),
            removed=(self.removed - later.added) | (later.removed - self.added),
            created=(self.created - later.dropped) | (later.created - self.dropped),
            dropped=(self.dropped - later.created) | (later.dropped - self.created),
        )
