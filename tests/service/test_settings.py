from pathlib import Path

import pytest

from kg.errors import ConfigurationError
from service.settings import DEFAULT_MAX_BODY, Settings


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HPKG_DATA", "HPKG_DEFAULT_GRAPH", "HPKG_MAX_BODY"):
        monkeypatch.delenv(name, raising=False)


def test_defaults() -> None:
    settings = Settings.from_environment()
    assert settings.data.name == "haiphong-kg"
    assert (settings.default_graph, settings.max_body) == ("union", DEFAULT_MAX_BODY)


def test_from_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HPKG_DATA", str(tmp_path))
    monkeypatch.setenv("HPKG_DEFAULT_GRAPH", "strict")
    monkeypatch.setenv("HPKG_MAX_BODY", "1000")
    assert Settings.from_environment() == Settings(tmp_path, "strict", 1000)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HPKG_DATA", __file__),
        ("HPKG_DEFAULT_GRAPH", "both"),
        ("HPKG_DEFAULT_GRAPH", ""),
        ("HPKG_MAX_BODY", "0"),
        ("HPKG_MAX_BODY", "-1"),
        ("HPKG_MAX_BODY", "10 MiB"),
        ("HPKG_MAX_BODY", "²"),
    ],
)
def test_bad_values_are_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        Settings.from_environment()
