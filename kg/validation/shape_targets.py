"""The targets of shapes (SHACL, section 2.1.3; SHACL-AF, section 3)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import rdflib
from rdflib.namespace import OWL, RDF, RDFS, SH

TARGET_PROPERTIES: Final = (SH.targetClass, SH.targetNode, SH.targetSubjectsOf, SH.targetObjectsOf, SH.target)
CLASS_TYPES: Final = frozenset({RDFS.Class, OWL.Class})
"""Types that make a shape its own target class (SHACL, section 2.1.3.3)."""


@dataclass(frozen=True)
class ShapeTargets:
    """The targets of one shape.

    `classes` includes the implicit class target. `selects` are the SPARQL targets, each a SELECT of ?this with its
    prefixes. `has_unknown` is true if a value of sh:target has no sh:select.
    """

    classes: tuple[rdflib.term.Node, ...]
    nodes: tuple[rdflib.term.Node, ...]
    subjects_of: tuple[rdflib.term.Node, ...]
    objects_of: tuple[rdflib.term.Node, ...]
    selects: tuple[str, ...]
    has_unknown: bool

    def focus_queries(self) -> Iterator[str]:
        """Return one SELECT of ?this for each target."""
        for target in self.classes:
            # No instance of a blank class is a target; in a query, the blank node would match any class.
            if not isinstance(target, rdflib.BNode):
                yield f"SELECT DISTINCT ?this {{ ?this {RDF.type.n3()}/{RDFS.subClassOf.n3()}* {target.n3()} }}"
        for target in self.nodes:
            yield f"SELECT ?this {{ VALUES ?this {{ {target.n3()} }} }}"
        for target in self.subjects_of:
            yield f"SELECT DISTINCT ?this {{ ?this {target.n3()} ?value }}"
        for target in self.objects_of:
            yield f"SELECT DISTINCT ?this {{ ?subject {target.n3()} ?this }}"
        yield from self.selects


def read_targets(graph: rdflib.Graph, shape: rdflib.term.Node) -> ShapeTargets:
    """Read the targets of a shape from a shapes graph."""
    is_class = not CLASS_TYPES.isdisjoint(graph.objects(shape, RDF.type))
    selects = [(target, graph.value(target, SH.select)) for target in graph.objects(shape, SH.target)]
    return ShapeTargets(
        classes=(*graph.objects(shape, SH.targetClass), *((shape,) if is_class else ())),
        nodes=tuple(graph.objects(shape, SH.targetNode)),
        subjects_of=tuple(graph.objects(shape, SH.targetSubjectsOf)),
        objects_of=tuple(graph.objects(shape, SH.targetObjectsOf)),
        selects=tuple(prefix_declarations(graph, target) + str(text) for target, text in selects if text is not None),
        has_unknown=any(text is None for _, text in selects),
    )


def prefix_declarations(graph: rdflib.Graph, subject: rdflib.term.Node) -> str:
    """Return the PREFIX lines for the sh:prefixes of a SPARQL constraint or target (SHACL, section 5.2.1)."""
    declarations = (
        (graph.value(item, SH.prefix), graph.value(item, SH.namespace))
        for prefixes in graph.objects(subject, SH.prefixes)
        for item in graph.objects(prefixes, SH.declare)
    )
    return "".join(sorted(f"PREFIX {prefix}: <{namespace}>\n" for prefix, namespace in declarations))
