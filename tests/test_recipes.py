"""What each row of ITOP's Table 2 trains, in steps, from the papers' epochs by arithmetic."""

from dataclasses import replace

import pytest

from resparse import artifact
from resparse.record import Recipe

TABLE = artifact.load("itop/table2")
LEVELS = ("paper", "smoke")
IMAGES = 1_281_167  # of ImageNet's training set
LARGE, SMALL = IMAGES / 4096, IMAGES // 64  # steps an epoch: of all images, of whole batches
ITOP = ("RigL-ITOP", "RigL-ITOP_2x")

# Evci et al. 2020: 32,000 steps of 4096, drops at epochs 30, 70, 90, a warm-up of 5 epochs
CITED = Recipe(
    batch_size=4096,
    steps=32_000,
    lr=1.6,
    lr_shape="steps",
    lr_drops=tuple(round(epoch * LARGE) for epoch in (30, 70, 90)),
    lr_factor=0.1,
    warmup=round(5 * LARGE),
    momentum=0.9,
    nesterov=True,
    weight_decay=1e-4,
    label_smoothing=0.1,
)
# ITOP, appendix B: 100 epochs of whole batches of 64, drops at epochs 30, 60, 90, warm-up of 5
OWN = replace(
    CITED,
    batch_size=64,
    steps=100 * SMALL,
    lr=0.1,
    lr_drops=tuple(epoch * SMALL for epoch in (30, 60, 90)),
    warmup=5 * SMALL,
    nesterov=False,
)
# twice the steps, each drop twice as late (appendix A: the anchor epochs are scaled too), the
# same warm-up (the released code)
OWN_2X = replace(
    OWN,
    steps=2 * 100 * SMALL,
    lr_drops=tuple(epoch * SMALL for epoch in (60, 120, 180)),
)
# 50 epochs of 897 digits: 14 whole batches of 64 an epoch, or 28 of 32
DIGITS = Recipe(
    batch_size=64,
    steps=50 * 14,
    lr=0.1,
    lr_shape="cosine",
    lr_drops=(),
    lr_factor=0.1,
    warmup=0,
    momentum=0.9,
    nesterov=True,
    weight_decay=5e-4,
    label_smoothing=0.0,
)
RECIPES = {
    ("paper", "RigL-ITOP"): OWN,
    ("paper", "RigL-ITOP_2x"): OWN_2X,
    ("smoke", "RigL-ITOP"): replace(DIGITS, batch_size=32, steps=50 * 28),
    ("smoke", "RigL-ITOP_2x"): replace(DIGITS, batch_size=32, steps=2 * 50 * 28),
}
METHODS = {
    "Dense": "dense",
    "Static": "static",
    "SET": "set",
    "SNFS": "snfs",
    "RigL": "rigl",
    "GMP": "gmp",
    "LTR": "ltr",
    "RigL-ITOP": "rigl_itop",
    "RigL-ITOP_2x": "rigl_itop",
}
DISTRIBUTIONS = {"Dense": "dense", "SET": "uniform", "GMP": "uniform", "LTR": "uniform"}
REWIND = {"paper": 2000, "smoke": 44}  # 0.0625 of 32,000; of 700 it is 43.75


def fields_of(label, level):
    """What the sources say of a row's schedule; the smoke level moves masks every 25 steps."""
    end = 25_000 / 32_000
    every = {"interval": {"paper": 100, "smoke": 25}[level], "alpha": 0.3, "t_end": end}
    pruned = {"interval": {"paper": 500, "smoke": 25}[level], "begin": 10_000 / 32_000, "end": end}
    own = {"interval": {"paper": 4000, "smoke": 25}[level], "alpha": 0.5, "floor": 0.005}
    return {
        "SET": every | {"order": "after", "floor": 0.0},
        "SNFS": every | {"order": "after"},
        "RigL": every | {"order": "replace"},
        "GMP": pruned,
        "RigL-ITOP": own | {"order": "after"},
        "RigL-ITOP_2x": own | {"order": "after"},
    }.get(label, {})


@pytest.fixture(scope="module")
def runs():
    """(level, label, sparsity) -> the run of seed 3."""
    return {
        (level, planned.label, planned.sparsity): planned.run
        for level in LEVELS
        for planned in artifact.plan(TABLE, level, "hash", seeds=[3])
    }


def test_every_row_is_written_out_here(runs):
    labels = [row.label for row in TABLE.rows]
    assert labels == list(METHODS)
    assert set(runs) == {(v, label, s) for v in LEVELS for label in labels for s in (0.9, 0.8)}


@pytest.mark.parametrize("label", METHODS)
@pytest.mark.parametrize("level", LEVELS)
def test_a_rows_recipe_is_its_own_in_steps(level, label, runs):
    expected = RECIPES.get((level, label), {"paper": CITED, "smoke": DIGITS}[level])
    for sparsity in (0.9, 0.8):
        assert runs[level, label, sparsity].recipe == expected


def test_the_numbers_of_the_arithmetic_are_those_one_expects():
    assert CITED.lr_drops == (9384, 21_895, 28_151)
    assert (CITED.warmup, OWN.warmup) == (1564, 100_090)
    assert (OWN.steps, OWN_2X.steps) == (2_001_800, 4_003_600)
    assert OWN.lr_drops == (600_540, 1_201_080, 1_801_620)
    assert OWN_2X.lr_drops == (1_201_080, 2_402_160, 3_603_240)


@pytest.mark.parametrize("label", METHODS)
@pytest.mark.parametrize("level", LEVELS)
def test_a_rows_method_and_its_fields_are_the_tables(level, label, runs):
    for sparsity, density in ((0.9, 0.1), (0.8, 0.2)):
        run = runs[level, label, sparsity]
        assert run.method == METHODS[label]
        fields = fields_of(label, level)
        assert {name: run.fields[name] for name in fields} == fields
        assert run.distribution == DISTRIBUTIONS.get(label, "erk")
        assert run.density == (1.0 if label == "Dense" else density)
        assert run.seed == 3


@pytest.mark.parametrize("label", METHODS)
@pytest.mark.parametrize("level", LEVELS)
def test_a_row_trains_the_levels_network_on_its_data(level, label, runs):
    run = runs[level, label, 0.9]
    networks = {"paper": ("resnet50", "imagenet"), "smoke": ("resnet8", "digits")}
    assert (run.model, run.dataset) == networks[level]
    assert run.precision == {"paper": "fp32", "smoke": "portable"}[level]


@pytest.mark.parametrize("sparsity", [0.9, 0.8])
@pytest.mark.parametrize("level", LEVELS)
def test_only_ltr_starts_late_from_the_snapshot_that_gmp_keeps(level, sparsity, runs):
    rows = {label: runs[level, label, sparsity] for label in METHODS}
    starts = {label: run.start_step for label, run in rows.items()}
    assert starts == dict.fromkeys(METHODS, 0) | {"LTR": REWIND[level]}
    snapshots = {label: run.snapshots for label, run in rows.items()}
    assert snapshots == dict.fromkeys(METHODS, ()) | {"GMP": (REWIND[level],)}
    assert rows["LTR"].parent == rows["GMP"]
    assert all(run.parent is None for label, run in rows.items() if label != "LTR")


@pytest.mark.parametrize("change", ["paper", "smoke"])
def test_a_rows_own_recipe_at_one_level_leaves_the_other_level_alone(change):
    text = (artifact.ROOT / "benchmarks" / "itop" / "table2.toml").read_text()
    old = {"paper": "batch_size = 64", "smoke": "batch_size = 32"}[change]
    table = artifact.parse(text.replace(old, "batch_size = 16"), "table2.toml")
    for level in LEVELS:
        for planned in artifact.plan(table, level, "hash", seeds=[0], only=ITOP):
            own = {"paper": 64, "smoke": 32}[level]
            assert planned.run.recipe.batch_size == (16 if level == change else own)
