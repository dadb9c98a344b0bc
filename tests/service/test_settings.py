import os
from pathlib import Path

import pytest

from kg.errors import ConfigurationError
from service.settings import Settings


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("HPKG_")]:
        monkeypatch.delenv(name)


def test_defaults() -> None:
    settings = Settings.from_environment()
    assert settings.data.name == "haiphong-kg"
    assert (settings.default_graph, settings.max_body) == ("union", 10 * 1024 * 1024)
    assert (settings.cache_bytes, settings.max_age, settings.access_log) == (64 * 1024 * 1024, 0, True)
    assert settings.planning
    assert settings.columns


def test_from_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HPKG_DATA", str(tmp_path))
    monkeypatch.setenv("HPKG_DEFAULT_GRAPH", "strict")
    monkeypatch.setenv("HPKG_MAX_BODY", "1000")
    monkeypatch.setenv("HPKG_CACHE", "0")
    monkeypatch.setenv("HPKG_MAX_AGE", "60")
    monkeypatch.setenv("HPKG_ACCESS_LOG", "off")
    monkeypatch.setenv("HPKG_PLAN", "off")
    monkeypatch.setenv("HPKG_COLUMNS", "off")
    monkeypatch.setenv("HPKG_SERVICES", "query.wikidata.org, Example.org:8443,,[::1]:80, example.org:8443")
    monkeypatch.setenv("HPKG_TEXT", os.pathsep.join(["one.txt", "", "two.txt"]))
    services = ("query.wikidata.org", "example.org:8443", "[::1]:80")
    texts = (Path("one.txt"), Path("two.txt"))
    switches = {"access_log": False, "planning": False, "columns": False}
    expected = Settings(
        tmp_path, "strict", 1000, cache_bytes=0, max_age=60, services=services, source_texts=texts, **switches
    )
    assert Settings.from_environment() == expected


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
        ("HPKG_CACHE", "-1"),
        ("HPKG_CACHE", "64 MiB"),
        ("HPKG_MAX_AGE", "1.5"),
        ("HPKG_MAX_AGE", ""),
        ("HPKG_ACCESS_LOG", "yes"),
        ("HPKG_PLAN", "no"),
        ("HPKG_PLAN", ""),
        ("HPKG_COLUMNS", "no"),
        ("HPKG_SERVICES", "https://query.wikidata.org/sparql"),
        ("HPKG_SERVICES", "example.org:port"),
    ],
)
def test_bad_values_are_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        Settings.from_environment()
