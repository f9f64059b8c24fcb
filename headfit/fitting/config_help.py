"""The reference of all settings, from the text under each field, the parameter groups and the loss terms."""

from __future__ import annotations

import ast
import inspect
from dataclasses import MISSING, fields

from headfit.fitting.config import FitConfig, RunArgs, Stage
from headfit.fitting.groups import GROUPS, STATE
from headfit.fitting.terms import TERMS


def config_help() -> str:
    """The reference as plain text."""
    parts = []
    for kind in (FitConfig, RunArgs, Stage):
        parts.append(f"{kind.__name__}: {inspect.getdoc(kind)}")
        texts = field_texts(kind)
        for field in fields(kind):
            default = field.default if field.default_factory is MISSING else field.default_factory()
            parts.append(f"  {field.name} (default: {default!r})\n" + _indented(texts[field.name]))
    parts.append("Parameter groups, which Stage.rates may move, with the unit of the rate:")
    scopes = {group: "/".join(dict.fromkeys(e.scope for e in STATE if e.group == group)) for group in GROUPS}
    parts.append("\n".join(f"  {name}: {unit}; per {scopes[name]}" for name, unit in GROUPS.items()))
    parts.append("Loss terms, which Stage.weights may weigh:")
    parts.append("\n".join(f"  {t.name}: {inspect.getdoc(inspect.getmodule(t.loss))}" for t in TERMS.values()))
    return "\n\n".join(parts)


def field_texts(kind: type) -> dict[str, str]:
    """The string below each field of a dataclass, by field name; a field without one is missing."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(definition, ast.ClassDef)
    texts = {}
    for field, text in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            assert isinstance(field.target, ast.Name)
            texts[field.target.id] = inspect.cleandoc(str(text.value.value))
    return texts


def _indented(text: str) -> str:
    return "\n".join(f"      {line}" for line in text.splitlines())
