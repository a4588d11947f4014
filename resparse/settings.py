"""FIELD=VALUE texts, as --set takes them, to the values of a method's fields."""

from collections.abc import Sequence
from typing import Any

from resparse import registry
from resparse.errors import UsageError


def settings(method: str, texts: Sequence[str], option: str = "--set") -> dict[str, Any]:
    """Each value of its field's type; raises UsageError listing the fields."""
    defaults = registry.own_fields(registry.load(method))
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if name not in defaults or not equals:
            valid = ", ".join(f"{k}={v}" for k, v in sorted(defaults.items()))
            raise UsageError(f"{option} {text}: method {method} has no such field; valid: {valid}")
        found[name] = _typed(f"{option} {text}", value, type(defaults[name]))
    return found


def _typed(text: str, value: str, kind: type) -> Any:
    try:
        return {"true": True, "false": False}[value.lower()] if kind is bool else kind(value)
    except (KeyError, ValueError):
        valid = "true or false" if kind is bool else f"a {kind.__name__}"
        raise UsageError(f"{text}: {value!r}; valid: {valid}") from None
