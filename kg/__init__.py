"""The domain: facts, evidence, shapes and queries. It knows nothing of HTTP and reads no environment.

`kg.open_or_build`, `kg.validate`, `kg.read_shapes` and `kg.KgError` are the way in from Python. They are loaded on
first use, so that `import kg` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kg.changes.data_folder import open_or_build
    from kg.errors import KgError
    from kg.validation.shacl import validate
    from kg.validation.shapes import read_shapes

__all__ = ["KgError", "open_or_build", "read_shapes", "validate"]

_MODULES: Final = {
    "KgError": "kg.errors",
    "open_or_build": "kg.changes.data_folder",
    "read_shapes": "kg.validation.shapes",
    "validate": "kg.validation.shacl",
}


def __getattr__(name: str) -> object:
    """Import an exported name from its module (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
