"""The service imports its own modules, even if the current folder has modules with the same names."""

import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import requests

from kg import resources
from tests.service.running_service import run_service

ROOT = Path(__file__).parents[2]


HOSTILE = ("kg/__init__.py", "service/__init__.py", "ontology/__init__.py", "json.py", "runpy.py")


def test_modules_in_the_current_folder_are_not_imported(tmp_path: Path) -> None:
    folder = tmp_path / "current"
    for name in HOSTILE:
        module = folder / name
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text(f"raise RuntimeError('{name} was imported')\n")
    with run_service(tmp_path, working_folder=folder) as served:
        # The web server answers /health, with the generation that the dispatcher has published.
        assert served.generation == 0
        assert requests.get(f"{served.url}/sparql", {"query": "ASK { ?s ?p ?o }"}, timeout=30).json()["boolean"]


def test_a_checkout_is_served_without_the_installed_command(tmp_path: Path) -> None:
    with run_service(tmp_path, hpkg=(sys.executable, "-m", "kg.cli"), working_folder=ROOT) as served:
        assert served.generation == 0


def test_a_checkout_that_is_not_installed_has_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_metadata(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(resources, "version", no_metadata)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert resources.project_version() == project["version"]
