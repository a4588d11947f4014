"""One training's configuration: what is asked of a schedule, and how often."""

import dataclasses

import pytest
from conftest import make_run

from resparse import configure, registry
from resparse.configure import make_run as configured
from resparse.errors import UsageError
from resparse.workloads import workload


def of(interval, steps=90, method="set", seed=0):
    """The run of a method with this interval."""
    recipe = dataclasses.replace(make_run("set").recipe, steps=steps)
    return configured(
        workload("digits_resnet8"),
        method,
        {"interval": interval},
        distribution="erk",
        density=0.2,
        recipe=recipe,
        seed=seed,
        dataset_sha256="0" * 64,
    )


@pytest.fixture(autouse=True)
def nothing_asked_before(monkeypatch):
    monkeypatch.setattr(configure, "_updating", set())


def test_a_schedule_is_asked_once_whatever_else_differs(monkeypatch):
    asked = []
    monkeypatch.setattr(registry, "require_update", lambda *given: asked.append(given))
    for seed in range(3):
        of(29, seed=seed)
    assert [(name, fields["interval"], steps) for name, fields, steps in asked] == [("set", 29, 90)]
    for other in ({"interval": 28}, {"interval": 29, "steps": 91}):
        of(**other)
    of(29, method="rigl")
    assert len(asked) == 4


def test_a_schedule_that_moves_no_mask_is_refused_every_time():
    for _ in range(2):
        with pytest.raises(UsageError, match=r"no mask update within 90 steps \(interval = 91\)"):
            of(91)


def test_another_class_of_the_same_name_is_asked_again(monkeypatch):
    asked = []
    of(27)
    monkeypatch.setattr(registry, "require_update", lambda *given: asked.append(given))
    other = type("Other", (registry.load("set"),), {})
    monkeypatch.setattr(registry, "load", lambda name: other)
    of(27)
    assert len(asked) == 1
