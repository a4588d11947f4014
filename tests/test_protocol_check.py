"""Protocols say what is trained: every value, of every row, in either direction."""

import dataclasses
import re

import pytest

from resparse import artifact, workloads
from resparse.claims.gathered import tables
from resparse.errors import UsageError
from resparse.figures import figure
from resparse.protocols import check as protocol_check
from resparse.protocols import protocol
from resparse.record import Recipe, Run

ITOP = protocol.load("itop")


@pytest.fixture(scope="module")
def found():
    """The paper's artifacts by name."""
    return {table.name: table for table in tables("itop")}


@pytest.fixture
def read_once(found, monkeypatch):
    """``checked`` without reading every artifact again."""
    monkeypatch.setattr(protocol_check, "tables", lambda paper: list(found.values()))


def named(name):
    return next(p for p in ITOP if p.entry.name == name)


def test_every_protocol_is_what_is_trained_and_every_row_is_in_one(read_once):
    protocols = protocol_check.checked("itop")
    names = {name for p in protocols for name in p.entry.artifacts}
    tables_of_itop = {
        name for name in artifact.names() if name.startswith("itop/") and not figure.is_figure(name)
    }
    assert {f"itop/{name}" for name in names} == {*artifact.panels(), *tables_of_itop}
    assert len(protocols) >= 22


def test_a_row_in_no_protocol_and_one_in_two_are_refused(found, monkeypatch):
    one, five = named("table1"), named("table5")
    monkeypatch.setattr(protocol_check, "tables", lambda paper: [found["table1"], found["table5"]])
    monkeypatch.setattr(protocol_check, "load", lambda paper: [one])
    with pytest.raises(UsageError, match=r"itop/table5.toml: row SET interval 15000 is in 0 proto"):
        protocol_check.checked("itop")
    monkeypatch.setattr(protocol_check, "load", lambda paper: [one, five, one])
    with pytest.raises(UsageError, match=r"in 2 protocols \(table1, table1\); valid: in one"):
        protocol_check.checked("itop")


def changed(value):
    """Another value of its kind; of a list one without its first."""
    if isinstance(value, list):
        return value[1:] if len(value) > 1 else [*value, *value]
    if isinstance(value, bool):
        return not value
    return f"{value}x" if isinstance(value, str) else value + 1


def with_value(whole, place, **changes):
    values = list(whole.values)
    values[place] = dataclasses.replace(
        values[place], said=values[place].said.model_copy(update=changes)
    )
    return dataclasses.replace(whole, values=tuple(values))


@pytest.mark.parametrize("whole", ITOP, ids=lambda p: p.entry.name)
def test_every_value_of_a_run_is_held_against_it(whole, found):
    """Said otherwise or not at all: each is refused with file, key and both values."""
    rows = protocol_check.trained(whole, found)
    protocol_check.check(whole, rows)
    for place, value in enumerate(whole.values):
        if value.table == "code":
            continue
        at = f"{value.file}, {whole.entry.name}: run.{value.key} = "
        other = changed(value.said.value)
        with pytest.raises(UsageError, match=r"is trained with .+; valid: what is tra") as error:
            protocol_check.check(with_value(whole, place, value=other), rows)
        assert str(error.value).startswith(f"{at}{other!r}; ")
        if value.key in protocol_check.OPTIONAL:
            continue
        rest = dataclasses.replace(whole, values=whole.values[:place] + whole.values[place + 1 :])
        with pytest.raises(UsageError, match=rf"run.{value.key} is said 0 times of row .*trained"):
            protocol_check.check(rest, rows)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("floor = 0.0", "floor = 0.005", "run.floor = 0.0; SET of table1 is trained with 0.005;"),
        ('"erk"', '"er"', "run.distribution = 'erk'; SET of table1 is trained with 'er';"),
        ("0.3, 0.1]", "0.3, 0.2]", "0.3, 0.1]; SET of table1 is trained with [0.9, 0.7, 0.5, 0.3,"),
        ("[0.95]", "[0.9]", "run.sparsity = 0.95; SET of table1 is trained with 0.9;"),
        ('"set_itop"', '"set_plus"', "run.method = 'set_itop'; SET of table1 is trained with 'set"),
        ("seeds = [0, 1, 2]", "seeds = [0, 1]", "run.seeds = 3; SET of table1 is trained with 2;"),
        ("[0.95]", '[0.95]\naccuracy = "top1_best_test"', "run.accuracy = 'top1_last'; SET of tab"),
    ],
)
def test_a_recipe_that_changes_under_a_protocol_is_refused(old, new, words, found):
    """The other direction: the protocol stays, and another value is trained."""
    text = (artifact.ROOT / "benchmarks/itop/table1.toml").read_text()
    assert old in text
    other = text.replace(old, new).replace('published = "itop/table1.csv"\n', "")  # no print to fit
    table = artifact.parse(other, "benchmarks/itop/table1.toml")
    rows = protocol_check.trained(named("table1"), {**found, "table1": table})
    with pytest.raises(UsageError, match=re.escape(words)):
        protocol_check.check(named("table1"), rows)


def test_a_workload_that_changes_under_a_protocol_is_refused(found, monkeypatch):
    problem = workloads.WORKLOADS["cifar10_resnet18"]
    for changes, words in (
        ({"weight_decay": 1e-4}, "run.weight_decay = 0.0005; SET of table1 is trained with 0.0001"),
        (
            {"lr_drop_epochs": [125, 188]},
            "[43875, 65637]; SET of table1 is trained with [43875, 65",
        ),
        ({"nesterov": False}, "run.nesterov = True; SET of table1 is trained with False"),
    ):
        other = dataclasses.replace(problem, recipe=problem.recipe.changed(changes))
        monkeypatch.setitem(workloads.WORKLOADS, "cifar10_resnet18", other)
        rows = protocol_check.trained(named("table1"), found)
        with pytest.raises(UsageError, match=re.escape(words)):
            protocol_check.check(named("table1"), rows)
    other = dataclasses.replace(problem, dataset="cifar10:val=500")
    monkeypatch.setitem(workloads.WORKLOADS, "cifar10_resnet18", other)
    rows = protocol_check.trained(named("table1"), found)
    with pytest.raises(
        UsageError, match=r"run.held_out = 5000; SET of table1 is trained with 500;"
    ):
        protocol_check.check(named("table1"), rows)


def test_a_value_in_the_wrong_table_is_refused(found):
    whole = named("table1")
    rows = protocol_check.trained(whole, found)
    for key, table, words in (
        ("momentum", "code", "code.momentum = 0.9; valid: in run model, dataset"),
        ("optimizer", "run", "run.optimizer = 'SGD with momentum'; valid: in run model"),
    ):
        values = tuple(
            dataclasses.replace(v, table=table) if v.key == key else v for v in whole.values
        )
        with pytest.raises(UsageError, match=re.escape(words)):
            protocol_check.check(dataclasses.replace(whole, values=values), rows)


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (["SETT *"], "run.interval: rows has 'SETT *'; valid: patterns of Dense, Static, SET int"),
        (["Dense"], "run.interval = .*: rows has none that carries it; valid: one that does"),
        (["SET interval 1*"], "run.interval = .*; SET of panels/figure3_mlp is trained with"),
    ],
)
def test_rows_that_are_none_or_carry_no_such_value_are_refused(of, words, found):
    whole = named("figure3_mlp")
    rows = protocol_check.trained(whole, found)
    place = next(n for n, v in enumerate(whole.values) if v.key == "interval")
    protocol_check.check(with_value(whole, place, rows=("SET *",)), rows)
    with pytest.raises(UsageError, match=words.replace("*'", r"\*'")):
        protocol_check.check(with_value(whole, place, rows=tuple(of)), rows)


def test_a_value_that_is_said_twice_and_an_unknown_artifact_are_refused(found):
    whole = named("figure3_mlp")
    twice = dataclasses.replace(whole, values=(*whole.values, whole.values[0]))
    key = whole.values[0].key
    with pytest.raises(UsageError, match=f"{key} is said 2 times of row Dense, trained with"):
        protocol_check.check(twice, protocol_check.trained(whole, found))
    entry = whole.entry.model_copy(update={"artifacts": ("panels/figure33",)})
    with pytest.raises(UsageError, match="artifacts has 'panels/figure33'; valid: "):
        protocol_check.trained(dataclasses.replace(whole, entry=entry), found)


def test_a_list_is_of_values_that_every_name_has(found):
    """Figure 5's dense row trains for the typical time alone."""
    whole = named("figure5_extended")
    steps = [n for n, v in enumerate(whole.values) if v.key == "steps"]
    dense, moving = sorted(steps, key=lambda n: len(whole.values[n].said.rows))
    joined = with_value(whole, moving, rows=())
    joined = dataclasses.replace(joined, values=joined.values[:dense] + joined.values[dense + 1 :])
    with pytest.raises(UsageError, match=r"run.steps = .*; Dense of panels/figure5_extended is tr"):
        protocol_check.check(joined, protocol_check.trained(whole, found))


def test_whatever_decides_a_runs_numbers_is_part_of_its_protocol(found):
    """A field that a Run gets later is either compared or left out with a reason."""
    table = found["table1"]
    (item,) = artifact.plan(table, "paper", "unread", seeds=[0], only=["P 0.5 interval 3000"])
    carried = protocol_check.carried(table, table.row(item.label), item)
    renamed = {"density": "sparsity", "seed": "seed_values", "start_step": "rewind"}
    whole = {"recipe", "fields"}  # of values of their own
    fields = {f.name for f in dataclasses.fields(Run)} - protocol_check.LEFT_OUT.keys() - whole
    fields = {renamed.get(name, name) for name in fields} - {"parent", "rewind"}  # of its row
    assert fields <= carried.keys()
    assert {f.name for f in dataclasses.fields(Recipe)} <= carried.keys()
    assert item.run.fields.keys() <= carried.keys()
    assert protocol_check.LEFT_OUT.keys() <= {f.name for f in dataclasses.fields(Run)}


def test_what_no_run_carries_is_said_of_every_protocol():
    for whole in ITOP:
        code = {v.key for v in whole.values if v.table == "code"}
        moving = any(v.key == "interval" for v in whole.values)
        assert {"optimizer", "augmentation"} <= code
        assert not moving or {"growth", "alpha_schedule", "new_weights"} <= code, whole.entry.name


def test_a_switch_that_is_on_is_not_the_number_one():
    assert not protocol_check._same(True, 1)
    assert not protocol_check._same(0, False)
    assert protocol_check._same(1, 1.0)
    assert protocol_check._same(True, True)
