"""The exports of `import kg`, which loads nothing before it is used."""

import subprocess
import sys

import kg


def test_every_export_exists() -> None:
    assert all(getattr(kg, name) for name in kg.__all__)


def test_importing_kg_loads_no_engine() -> None:
    code = "import sys, kg; print(sorted({'pyoxigraph', 'rdflib', 'pyshacl', 'flask'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
