"""Names to classes and fields: what is unknown lists what is valid; clones stay apart."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from resparse import registry
from resparse.errors import UsageError
from resparse.method import Method

ROOT = Path(__file__).resolve().parents[1]


def test_a_method_is_a_file():
    files = {p.stem for p in (ROOT / "methods").glob("*.py")} - {"__init__"}
    assert set(registry.names()) == files
    assert registry.methods_folder() == ROOT / "methods"


@pytest.mark.parametrize("name", registry.names())
def test_every_method_loads_from_this_checkout_and_resolves_its_defaults(name):
    cls = registry.load(name)
    assert issubclass(cls, Method)
    assert cls is registry.load(name)
    assert cls.__module__ == f"resparse.methods.{name}"
    assert Path(sys.modules[cls.__module__].__file__) == ROOT / "methods" / f"{name}.py"
    fields = registry.resolve_fields(name, {})
    assert fields == registry.own_fields(cls)
    assert "order" in fields
    assert not fields.keys() & {"densities", "sizes", "total_steps", "rng", "parent", "state"}
    assert registry.resolve_fields(name, fields) == fields


@pytest.mark.parametrize("name", registry.names())
def test_every_default_may_be_given_and_no_other_type(name):
    for key, value in registry.resolve_fields(name, {}).items():
        assert registry.resolve_fields(name, {key: value})[key] == value
        for wrong in (None, "wrong", [value], value == 1 if type(value) is not bool else 1):
            with pytest.raises(UsageError, match=rf"{name}: {key} = "):
                registry.resolve_fields(name, {key: wrong})


def test_unknown_method_lists_the_valid_and_guesses():
    with pytest.raises(UsageError) as caught:
        registry.load("rigle")
    assert str(caught.value) == (
        f"unknown method 'rigle' (did you mean rigl?); valid: {', '.join(registry.names())}"
    )
    with pytest.raises(UsageError, match="unknown method 'xyz'; valid: dense, gmp"):
        registry.resolve_fields("xyz", {})


@pytest.mark.parametrize("name", ["__init__", "../methods/set", "", "Set"])
def test_names_are_exact(name):
    with pytest.raises(UsageError, match="unknown method"):
        registry.load(name)


def test_unknown_field_lists_the_valid():
    with pytest.raises(UsageError, match=r"set has no field 'aplha'; valid: alpha, floor, inter"):
        registry.resolve_fields("set", {"aplha": 0.1})
    with pytest.raises(UsageError, match="no field 'total_steps'"):
        registry.resolve_fields("set", {"total_steps": 5})


def test_wrong_type_and_wrong_value_say_what_is_valid():
    with pytest.raises(UsageError, match=r"set: interval = '3'; valid: a int"):
        registry.resolve_fields("set", {"interval": "3"})
    with pytest.raises(UsageError, match=r"set: interval = 3.0; valid: a int"):
        registry.resolve_fields("set", {"interval": 3.0})
    with pytest.raises(UsageError, match=r"set: interval = True; valid: a int"):
        registry.resolve_fields("set", {"interval": True})
    with pytest.raises(UsageError, match=r"method set: alpha = 1.5; valid: above 0, at most 1"):
        registry.resolve_fields("set", {"alpha": 1.5})
    with pytest.raises(UsageError, match=r"method rigl: order = 'later'; valid: replace, after"):
        registry.resolve_fields("rigl", {"order": "later"})
    with pytest.raises(UsageError, match="alpha = nan"):
        registry.resolve_fields("set", {"alpha": float("nan")})


def test_a_whole_number_is_a_float_where_one_is_expected():
    alpha = registry.resolve_fields("set", {"alpha": 1})["alpha"]
    assert (alpha, type(alpha)) == (1.0, float)


def test_build_gives_a_method_for_one_run():
    method = registry.build("set", {"interval": 2}, {"fc": 0.5}, {"fc": 10}, 7)
    assert (method.total_steps, method.interval, method.target_counts()) == (7, 2, {"fc": 5})
    assert isinstance(method.rng, torch.Generator)
    with pytest.raises(UsageError, match="method ltr: parent"):
        registry.build("ltr", {}, {"fc": 0.5}, {"fc": 10}, 7)


@pytest.mark.parametrize("source", ["", "SECOND"])
def test_a_file_without_exactly_one_method_is_refused(source, tmp_path, monkeypatch):
    text = (ROOT / "methods" / "static.py").read_text()
    two = text + "\n\nclass Again(Static):\n    pass\n"
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "odd.py").write_text(two if source else '"""Nothing."""\n')
    for name in [name for name in sys.modules if name.startswith("resparse.methods")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(registry, "methods_folder", lambda: tmp_path)
    with pytest.raises(UsageError, match=f"defines {2 if source else 0} Method classes; valid: o"):
        registry.load("odd")
    for name in [name for name in sys.modules if name.startswith("resparse.methods")]:
        monkeypatch.delitem(sys.modules, name)  # what this test loaded goes, what was there returns


SHOW = """
from resparse import registry
print(registry.resolve_fields("set", {})["alpha"], registry.methods_folder(), registry.names())
"""


def test_two_clones_load_their_own_methods(tmp_path):
    children = []
    for clone in ("one", "two"):
        for part in ("resparse", "methods"):
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / part, tmp_path / clone / part, ignore=ignore)
    changed = tmp_path / "two" / "methods" / "set.py"
    text = changed.read_text()
    assert text.count("alpha: float = 0.3") == 1
    changed.write_text(text.replace("alpha: float = 0.3", "alpha: float = 0.7"))
    (tmp_path / "two" / "methods" / "zz_added.py").write_text(
        (ROOT / "methods/static.py").read_text()
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    for clone in ("one", "two"):
        command = [sys.executable, "-c", SHOW]
        children.append(
            subprocess.Popen(
                command, cwd=tmp_path / clone, env=environment, stdout=subprocess.PIPE, text=True
            )
        )
    outputs = [child.communicate(timeout=60)[0].strip() for child in children]
    names = registry.names()
    assert outputs == [
        f"0.3 {tmp_path}/one/methods {names}",
        f"0.7 {tmp_path}/two/methods {[*names, 'zz_added']}",
    ]


@pytest.mark.parametrize("name", registry.names())
def test_a_schedule_that_never_moves_a_mask_is_refused(name):
    fields = registry.own_fields(registry.load(name))
    registry.require_update(name, fields, 5000)
    if name in ("set", "rigl", "snfs", "rigl_itop"):
        with pytest.raises(UsageError, match=f"method {name}: no mask update within 99 steps"):
            registry.require_update(name, fields, 99)
    if name in ("dense", "static", "ltr"):  # their masks never move, and are not meant to
        registry.require_update(name, fields, 99)


QUESTIONS = {
    "updates_at": "def updates_at(self, step):\n    return 1 // (7 - step) > 1",
    "random_growth_at": "def random_growth_at(self, step):\n    return {}[step]",
    "its constructor": "def __post_init__(self):\n    super().__post_init__()\n    self.nothing()",
}


@pytest.mark.parametrize("what", QUESTIONS)
def test_what_a_schedule_raises_names_the_method_the_step_and_the_line(what, brought):
    brought(QUESTIONS[what])
    step = {"updates_at": ", step 7", "random_growth_at": ", step 0"}.get(what, "")
    with pytest.raises(UsageError, match=rf"^method mine{step}, {what}: .*\(methods/mine.py:\d+\)"):
        registry.rs_is_exact(registry.probe("mine", {}, 50))


def test_a_schedule_that_never_answers_is_stopped_and_placed(brought, monkeypatch):
    brought("def updates_at(self, step):\n    while step > 20:\n        pass\n    return False")
    monkeypatch.setattr(registry, "_LIMIT_S", 0.3)
    with pytest.raises(UsageError, match="method mine, step 21, updates_at: it did not return"):
        registry.require_update("mine", {}, 100)


def test_a_value_that_a_field_cannot_take_is_the_users(brought):
    brought()
    with pytest.raises(UsageError, match=r"^method mine: total_steps = 0; valid: at least 1$"):
        registry.probe("mine", {}, 0)
