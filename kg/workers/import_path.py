"""Let other processes import the same modules as this one, whatever lies in the current folder.

`python -m` and granian put the current folder in front of the import path. If `hpkg serve` is started in a folder that
contains, say, `kg/` or `json.py`, the new process would import those.
"""

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kg


def import_path() -> list[str]:
    """Return this process's import path without the current folder, but with the folder that contains `kg`."""
    root = str(Path(kg.__file__).parents[1])
    entries = [entry for entry in sys.path if entry]  # "" stands for the current folder
    return entries if root in entries else [root, *entries]


def python_command(module: str, *arguments: str) -> list[str]:
    """Return the command that calls `main()` of a module in a new interpreter with the import path of this one.

    `-P` keeps the current folder out of the path until the path is replaced. A plain checkout works too, since its
    folder is in the path that is handed over.
    """
    code = f"import sys; sys.path[:] = sys.argv.pop(1).split({os.pathsep!r}); import {module} as module; module.main()"
    return [sys.executable, "-P", "-c", code, os.pathsep.join(import_path()), *arguments]


def import_target(target: str) -> Callable[..., Any]:
    """Import `module:factory` and return what the factory makes; a loader for granian that leaves `sys.path` alone."""
    module, _, factory = target.partition(":")
    application: Callable[..., Any] = getattr(importlib.import_module(module), factory)()
    return application
