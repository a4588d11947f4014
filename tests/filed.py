"""Methods in files of their own, as a user brings them: a sound one, and what is put into it."""

import pytest

from resparse import registry

SOUND = '''"""Mine (ours, 2026)."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from resparse.masks import Change, drop_and_grow, top_k
from resparse.method import Method
from resparse.rules import gradient_update, random_update
from resparse.schedules import is_due
{top}

@dataclass(kw_only=True)
class Mine(Method):
    order: str = "after"
    interval: int = 4
    grads: ClassVar[str] = "never"

    def updates_at(self, step):
        return is_due(step, self.interval)

    def update_masks(self, step, layers):
        return random_update(self, layers, 0.3)
{body}'''


def write(folder, body="", *, top="", name="mine"):
    """The file of a method: the sound one, ``body`` (functions of the class) in its place."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.py"
    indented = "".join(f"    {line}\n" if line else "\n" for line in body.splitlines())
    file.write_text(SOUND.format(top=top, body=indented))
    return file


@pytest.fixture
def brought(tmp_path, monkeypatch):
    """A function that writes a method's file and makes the registry know it, for this test."""

    def know(body="", *, top="", name="mine"):
        monkeypatch.setattr(registry, "_outside", dict(registry._outside))
        return registry.add(name, write(tmp_path / "methods", body, top=top, name=name))

    return know
