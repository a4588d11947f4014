"""A sweep becomes rows, each with its coordinates; what names no points is refused by its key."""

import pytest

from resparse import artifact
from resparse.errors import UsageError
from resparse.sweep import expand

SWEEP = {
    "label": "P {alpha} every {interval}",
    "method": "set_itop",
    "distribution": "erk",
    "axes": {"alpha": [0.5, 0.1], "interval": [3000, 1000]},
    "fields": {"floor": 0.0},
    "smoke": {
        "axes": {"interval": [30, 10]},
        "leave_out": {"alpha": [0.1], "interval": [1000]},
        "recipe": {"batch_size": 32},
    },
}
LEVELS = ("smoke", "paper")


def test_rows_run_over_the_axes_the_first_outermost_and_keep_their_coordinates():
    rows = expand(SWEEP, 1, LEVELS, "file")
    assert [row["label"] for row in rows] == [
        "P 0.5 every 3000", "P 0.5 every 1000", "P 0.1 every 3000", "P 0.1 every 1000",
    ]  # fmt: skip
    assert [row["coordinates"] for row in rows] == [
        {"alpha": 0.5, "interval": 3000},
        {"alpha": 0.5, "interval": 1000},
        {"alpha": 0.1, "interval": 3000},
        {"alpha": 0.1, "interval": 1000},
    ]
    second = rows[1]
    assert second["fields"] == {"floor": 0.0, "alpha": 0.5, "interval": 1000}
    assert (second["method"], second["distribution"]) == ("set_itop", "erk")
    assert "axes" not in second


def test_a_level_has_its_own_values_in_the_same_order_and_leaves_points_out():
    smoke = [row["smoke"] for row in expand(SWEEP, 1, LEVELS, "file")]
    assert [at["fields"]["interval"] for at in smoke] == [30, 10, 30, 10]
    assert [at["coordinates"]["interval"] for at in smoke] == [30, 10, 30, 10]
    assert [at["coordinates"]["alpha"] for at in smoke] == [0.5, 0.5, 0.1, 0.1]
    assert [at["left_out"] for at in smoke] == [False, True, True, True]  # either axis is enough
    assert {at["recipe"]["batch_size"] for at in smoke} == {32}
    paper = [row["paper"] for row in expand(SWEEP, 1, LEVELS, "file")]
    assert [at["fields"]["interval"] for at in paper] == [3000, 1000, 3000, 1000]
    assert not any(at["left_out"] for at in paper)


def test_an_axis_may_be_a_key_of_the_recipe_or_the_length():
    table = SWEEP | {
        "label": "{batch_size} {length}",
        "axes": {"batch_size": [16, 32], "length": [1, 2.5]},
        "smoke": {"axes": {"batch_size": [8, 64]}},
    }
    rows = expand(table, 1, LEVELS, "file")
    assert [row["length"] for row in rows] == [1, 2.5, 1, 2.5]
    assert [row["paper"]["recipe"] for row in rows][::2] == [{"batch_size": 16}, {"batch_size": 32}]
    assert [row["smoke"]["recipe"] for row in rows][::2] == [{"batch_size": 8}, {"batch_size": 64}]
    assert rows[0]["fields"] == {"floor": 0.0}
    assert rows[3]["coordinates"] == {"batch_size": 32, "length": 2.5}


def changed(**values):
    smoke = values.pop("smoke", None)
    return SWEEP | values | ({"smoke": SWEEP["smoke"] | smoke} if smoke else {})


BAD = [
    (changed(axes={"alfa": [1]}), ["axes has 'alfa'", "interval", "batch_size", "length"]),
    (changed(axes={}), ["axes = {}", "at least 1"]),
    (changed(axes={"alpha": []}), ["axes.alpha = []", "at least 1"]),
    (changed(axes={"alpha": 0.5}), ["axes.alpha = 0.5", "a list"]),
    (changed(axes=SWEEP["axes"] | {"alpha": [0.5, 0.5]}), ["axes.alpha: value 0.5 is given twice"]),
    (changed(label="P {alpha}"), ["the same for all values of interval", "{interval}"]),
    (changed(label="{alpha} {intervall}"), ["label has {intervall}", "{alpha}, {interval}"]),
    (changed(fields={"alpha": 0.3}), ["fields has 'alpha', an axis"]),
    (changed(axis={}), ["unknown key 'axis'", "axes"]),
    (changed(smoke={"axes": {"interval": [30]}}), ["smoke: axes.interval has 1 values; valid: 2"]),
    (changed(smoke={"axes": {"intervals": [3, 1]}}), ["axes has 'intervals'", "alpha, interval"]),
    (changed(smoke={"axes": {"interval": [3, 3]}}), ["axes.interval: value 3 is given twice"]),
    (changed(smoke={"leave_out": {"alpha": [0.7]}}), ["leave_out.alpha has 0.7", "0.5, 0.1"]),
    (changed(smoke={"leave_out": {"alpha": [0.1, 0.5]}}), ["leaves no point"]),
    (changed(smoke={"leave_out": {"alfa": [0.1]}}), ["leave_out has 'alfa'", "alpha, interval"]),
    (changed(smoke={"leaveout": {}}), ["smoke: unknown key 'leaveout'", "leave_out"]),
    (changed(smoke={"fields": {"alpha": 0.3}}), ["smoke: fields has 'alpha', an axis"]),
    (changed(label="{batch_size}", axes={"batch_size": [32]}, smoke={"axes": {}, "leave_out": {}}),
     ["smoke: recipe has 'batch_size', an axis"]),
    (changed(method="sett"), ["sett"]),
]  # fmt: skip


@pytest.mark.parametrize(("table", "words"), BAD)
def test_a_bad_sweep_is_refused_by_its_key(table, words):
    with pytest.raises(UsageError) as caught:
        expand(table, 2, LEVELS, "file")
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text


def test_a_level_may_have_lengths_of_its_own():
    table = changed(label="{length}", axes={"length": [1, 2]}) | {
        "smoke": {"axes": {"length": [1, 3]}}
    }
    rows = expand(table, 1, LEVELS, "file")
    assert [row["length"] for row in rows] == [1, 2]
    assert [row["smoke"]["length"] for row in rows] == [1, 3]
    assert [row["paper"]["length"] for row in rows] == [1, 2]


NAME = "benchmarks/itop/table1.toml"
TEXT = (artifact.ROOT / NAME).read_text()


def test_rows_and_sweeps_make_one_table_whose_labels_are_distinct():
    row = '[[row]]\nlabel = "Dense"\nmethod = "dense"\ndistribution = "dense"\n'
    table = artifact.parse(TEXT + row, NAME)
    assert [r.label for r in table.rows][:2] == ["Dense", "P 0.9 interval 15000"]
    assert table.row("Dense").coordinates == {}
    again = row.replace("Dense", "P 0.9 interval 3000")
    with pytest.raises(UsageError, match=r"row P 0\.9 interval 3000 is given twice"):
        artifact.parse(TEXT + again, NAME)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("interval = [120,", "interval = [0,", ["row P 0.9 interval 15000, smoke", "interval = 0"]),
        ("interval = [120,", "interval = [701,", ["no mask update within 700 steps"]),
        ("[0.9, 0.7, 0.5", "[1.9, 0.7, 0.5", ["row P 1.9 interval 15000", "alpha = 1.9"]),
        ("[[sweep]]", "[[swepe]]", ["unknown key 'swepe'", "sweep"]),
        ("steps = [62500, 65000]", "steps = [65000, 62500]", ["the first below the second"]),
        ("steps = 97750", "steps = [1, 2]", ["one length as steps, or none, with stated = true"]),
        ("steps = 97750", "steps = 0.5", ["reading[1].steps"]),
        ('"E-ITOP-18"', '"E-ITOP-99"', ["artifact.errata has 'E-ITOP-99'", "E-ITOP-18"]),
    ],
)
def test_a_bad_file_is_refused_when_it_is_read(old, new, words):
    assert old in TEXT
    with pytest.raises(UsageError) as caught:
        artifact.parse(TEXT.replace(old, new, 1), NAME)
    for word in words:
        assert word in str(caught.value), str(caught.value)
