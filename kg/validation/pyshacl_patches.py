"""Patches of pySHACL and rdflib; no other module changes or overrides them.

`load_pyshacl` checks the installed versions, applies the patches of module attributes, and returns pySHACL. The other
patches are objects that `kg.validation.core_validator` passes to pySHACL.

patch                      mends                                              can go when
-------------------------  -------------------------------------------------  ---------------------------------------
_speed_up_parameters       pySHACL searches a list of constraint parameters   ALL_CONSTRAINT_PARAMETERS is a set
                           for every statement about a shape
_block_service_calls       rdflib evaluates SERVICE, which fetches from any   pySHACL or rdflib can switch SERVICE off
                           server that the shapes name
CachingNamespaceManager    pySHACL binds `sh` whenever it writes a node, and  pySHACL writes no text of the results, or
                           rdflib compacts each IRI again                     rdflib caches compacted IRIs
DataGraph                  pySHACL tests `if graph`, which makes rdflib       pySHACL tests `graph is not None`
                           count the triples
CachingGraph               pySHACL looks the parameters of each constraint    pySHACL keeps the constraints of a shape
                           up in the shapes graph for every focus node        between validations
PREFIXLESS_SHAPES_GRAPH    pySHACL binds every prefix of the shapes graph     pySHACL builds the report graph without
                           in every report graph                              its text
"""

from collections.abc import Iterable, Iterator
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any, Final, NoReturn

import rdflib
from rdflib.namespace import SH, NamespaceManager

from kg.errors import EngineError, ShapesError
from kg.validation.shapes import SERVICE_CALL_MESSAGE

_TRIED_VERSIONS: Final = {"pyshacl": "0.40", "rdflib": "7"}
"""The leading parts of the versions that the patches were tried with."""
_MAX_CACHED_IRIS: Final = 10_000
"""Compacted IRIs that a namespace manager caches before it starts afresh."""

PREFIXLESS_SHAPES_GRAPH: Final = SimpleNamespace(graph=rdflib.Graph(bind_namespaces="none"))
"""Stands in for a shapes graph where pySHACL reads only its prefixes, for a text that is discarded."""


@cache
def load_pyshacl() -> ModuleType:
    """Import pySHACL, check its version and apply the patches.

    The import takes half a second, so that a service that only answers queries does not need it at start. Raise
    EngineError if the version is untried: the patches use internals, and a patch without effect may let SERVICE calls
    through.
    """
    import pyshacl  # noqa: PLC0415
    from pyshacl.monkey import apply_patches  # noqa: PLC0415

    _require_tried_version("pyshacl", pyshacl.__version__)
    _require_tried_version("rdflib", rdflib.__version__)
    apply_patches()  # type: ignore[no-untyped-call]
    _speed_up_parameters()
    _block_service_calls()
    return pyshacl


def _require_tried_version(library: str, version: str) -> None:
    tried = _TRIED_VERSIONS[library]
    if not f"{version}.".startswith(f"{tried}."):
        raise EngineError(
            f"{library} {version} is installed, but the gate is tried with {library} {tried} only, "
            "so nothing is admitted."
        )


class _IndexedList(list[Any]):
    """A list whose membership test takes constant time."""

    def __init__(self, items: Iterable[Any]) -> None:
        super().__init__(items)
        self._members = set(self)

    def __contains__(self, item: object) -> bool:
        return item in self._members

    def append(self, item: Any) -> None:  # noqa: ANN401 - the signature of list
        super().append(item)
        self._members.add(item)

    def copy(self) -> "_IndexedList":
        return _IndexedList(self)


def _speed_up_parameters() -> None:
    """Replace pySHACL's list of constraint parameters by an indexed one."""
    from pyshacl import shape  # noqa: PLC0415
    from pyshacl.constraints import ALL_CONSTRAINT_PARAMETERS, CONSTRAINT_PARAMETERS_MAP  # noqa: PLC0415

    vars(shape)["CONSTRAINT_PARAMS"] = _IndexedList(ALL_CONSTRAINT_PARAMETERS), CONSTRAINT_PARAMETERS_MAP


def _block_service_calls() -> None:
    """Make rdflib refuse SERVICE patterns.

    The check of the text in `read_shapes` cannot see all of them: rdflib resolves code point escapes before it parses,
    and pySHACL prepends the prefixes of the shapes without a check.
    """
    from rdflib.plugins.sparql import CUSTOM_EVALS  # noqa: PLC0415

    CUSTOM_EVALS[__name__] = _refuse_service_pattern


def _refuse_service_pattern(_: object, part: Any) -> NoReturn:  # noqa: ANN401 - the signature of rdflib
    if part.name == "ServiceGraphPattern":
        raise ShapesError(SERVICE_CALL_MESSAGE)
    raise NotImplementedError


class CachingNamespaceManager(NamespaceManager):
    """Fixed prefixes, with a cache of compacted IRIs."""

    def __init__(self, graph: rdflib.Graph) -> None:
        super().__init__(graph, bind_namespaces="none")
        for prefix, namespace in graph.namespace_manager.namespaces():
            super().bind(prefix, namespace)
        self._compacted = dict[str, str]()
        super().bind("sh", SH, override=False, replace=False)

    def bind(self, *_: object, **__: object) -> None:
        """Ignore pySHACL's repeated binding of its own prefix."""

    def normalizeUri(self, rdfTerm: str) -> str:  # noqa: N802, N803 - rdflib's names
        """Return an IRI as a prefixed name or in angle brackets."""
        if rdfTerm not in self._compacted:
            if len(self._compacted) > _MAX_CACHED_IRIS:
                self._compacted.clear()
            self._compacted[rdfTerm] = super().normalizeUri(rdfTerm)
        return self._compacted[rdfTerm]


class DataGraph(rdflib.Graph):
    """The data to validate; always true, so that pySHACL's test for a graph does not count its triples."""

    def __bool__(self) -> bool:
        return True


class CachingGraph(rdflib.Graph):
    """A graph that caches its look-ups once it is frozen."""

    _cache: dict[tuple[object, ...], list[Any]] | None = None

    def freeze(self) -> None:
        """Start to cache; the graph must not change afterwards."""
        self._cache = {}

    def triples(self, triple: Any) -> Iterator[Any]:  # type: ignore[override]  # noqa: ANN401 - the signature of rdflib
        if self._cache is None:
            yield from super().triples(triple)
            return
        if triple not in self._cache:
            self._cache[triple] = list(super().triples(triple))
        yield from self._cache[triple]
