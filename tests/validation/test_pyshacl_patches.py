"""The patches of pySHACL: each is still needed, and they are applied to tried versions only."""

from collections.abc import Iterator

import pyshacl
import pytest
import rdflib
from pyshacl.constraints import ALL_CONSTRAINT_PARAMETERS
from rdflib.namespace import SH

from kg.errors import EngineError, ShapesError
from kg.validation.pyshacl_patches import CachingGraph, CachingNamespaceManager, DataGraph, load_pyshacl

NODE, PREDICATE = rdflib.URIRef("http://e.org/a"), rdflib.URIRef("http://e.org/p")


@pytest.fixture
def fresh_load() -> Iterator[None]:
    """Forget the cached result of `load_pyshacl`, before and after."""
    load_pyshacl.cache_clear()
    yield
    load_pyshacl.cache_clear()


@pytest.mark.usefixtures("fresh_load")
@pytest.mark.parametrize(("library", "version"), [(pyshacl, "0.41.0"), (pyshacl, "0.4"), (rdflib, "8.0.0")])
def test_an_untried_version_is_refused(monkeypatch: pytest.MonkeyPatch, library: object, version: str) -> None:
    monkeypatch.setattr(library, "__version__", version)
    with pytest.raises(EngineError, match=f"{version} is installed"):
        load_pyshacl()


def test_pyshacl_looks_parameters_up_in_an_indexed_list() -> None:
    assert type(ALL_CONSTRAINT_PARAMETERS) is list, "the patch can go"
    load_pyshacl()
    parameters, _ = vars(pyshacl.shape)["CONSTRAINT_PARAMS"]
    assert parameters == ALL_CONSTRAINT_PARAMETERS
    copied = parameters.copy()
    copied.append(NODE)
    assert NODE in copied
    assert NODE not in parameters


def test_rdflib_evaluates_no_service_call() -> None:
    load_pyshacl()
    with pytest.raises(ShapesError, match="SERVICE"):
        rdflib.Graph().query("SELECT * { SERVICE SILENT <http://127.0.0.1:9/> { ?s ?p ?o } }")


def test_prefixes_are_fixed_and_compacted_iris_are_cached() -> None:
    manager = CachingNamespaceManager(rdflib.Graph(bind_namespaces="none"))
    manager.bind("e", "http://e.org/")
    assert [manager.normalizeUri(iri) for iri in (str(NODE), str(SH.path), str(SH.path))] == [
        "<http://e.org/a>",
        "sh:path",
        "sh:path",
    ]


def test_an_empty_data_graph_is_true() -> None:
    assert not rdflib.Graph(), "the patch can go"
    assert DataGraph()


def test_a_frozen_graph_answers_from_its_cache() -> None:
    graph = CachingGraph()
    graph.add((NODE, PREDICATE, NODE))
    graph.freeze()
    assert list(graph.objects(NODE, PREDICATE)) == [NODE]
    graph.add((NODE, PREDICATE, PREDICATE))
    assert list(graph.objects(NODE, PREDICATE)) == [NODE]
