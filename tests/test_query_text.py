"""SPARQL text is filled by kg.sparql.templates, never by text replacement."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PENDING = {"kg/changes/rules.py"}
"""Files that still fill queries by text replacement."""
QUERY_NAME = re.compile(r"QUERY|QUERIES|PATTERN|SUBQUER|DESCRIBE|CONSTRUCT|SELECT", re.IGNORECASE)
PLACEHOLDER = re.compile(r"<?[A-Z_]{2,}>?|[?$]\w+|\"[A-Z_]{2,}\"")
"""What stood for a value in queries: IRI, <IRI>, ?source, "LANGUAGE"."""


def replacements(tree: ast.AST) -> Iterator[ast.Call]:
    """Calls of `replace` on a query, or of a placeholder."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "replace"):
            continue
        receiver = {item.id for item in ast.walk(node.func.value) if isinstance(item, ast.Name)}
        old = node.args[0] if node.args else None
        placeholder = isinstance(old, ast.Constant) and isinstance(old.value, str) and PLACEHOLDER.fullmatch(old.value)
        if placeholder or any(QUERY_NAME.search(name) for name in receiver if name.isupper()):
            yield node


def test_no_query_is_filled_by_text_replacement() -> None:
    found = {
        str(path.relative_to(ROOT))
        for folder in ("kg", "service")
        for path in (ROOT / folder).rglob("*.py")
        if any(replacements(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert found <= PENDING


def test_replacements_are_recognized() -> None:
    for text in ("_QUERY.replace(a, b)", "_A_PATTERNS[name].replace(a, b)", 'text.replace("<IRI>", b)'):
        assert any(replacements(ast.parse(text))), text
    assert not any(replacements(ast.parse('text.replace(".", ""); replace(query, text="")')))
