"""Which layers are packed: what is refused, what is measured, and once a machine."""

import pytest
from torch import nn

from resparse import engine
from resparse.engine import crossover
from resparse.engine.layers import sparse_of
from resparse.errors import Missing, UsageError
from resparse.how import How

LAYERS = {"linear": nn.Linear(50, 33), "pointwise": nn.Conv2d(16, 24, 1, stride=(2, 3))}


@pytest.mark.parametrize(
    ("asked", "says"),
    {
        "a name": (
            ("sparsely", "fp32", 0.1, How()),
            "engine 'sparsely'; valid: masked, sp",
        ),
        "portable": (
            ("sparse", "portable", 0.1, How()),
            "sparse in precision portable; valid",
        ),
        "bf16": (
            ("sparse", "bf16", 0.1, How()),
            "fp32 or fp64, or engine masked or",
        ),
        "full": (("sparse", "fp32", 1.0, How()), "at density 1, which leaves nothing out"),
        "gpu": (("sparse", "fp32", 0.1, How(device="cuda")), "on a GPU, .* valid: --device cpu"),
        "several": (("sparse", "fp32", 0.1, How(world=2)), "of 2 processes; valid: one"),
        "unused": (("masked", "fp32", 0.1, How(crossover=0.5)), "--crossover with engine masked"),
    }.values(),
)
def test_what_the_engine_is_not_for_is_refused_with_what_is_valid(asked, says):
    with pytest.raises(UsageError, match=says):
        engine.require(*asked)
    if asked[0] == "sparse":
        engine.require("auto", *asked[1:])


def test_a_crossover_that_is_no_density_is_refused():
    with pytest.raises(UsageError, match=r"crossover = 1.5; valid: a density, 0 to 1"):
        How(crossover=1.5).require("fp32", 8)


def test_the_crossover_is_where_the_lines_meet(monkeypatch):
    times = {(0.05, False): 10.0, (0.05, True): 2.0, (0.25, True): 6.0}
    monkeypatch.setattr(crossover, "step_s", lambda *a, packed: times[a[3], packed])
    assert crossover.measured(None, 1, 1) == pytest.approx(0.45)
    times[0.25, True] = 2.1  # far off: never slower
    assert crossover.measured(None, 1, 1) == 1.0
    times[0.25, True] = 1.0  # noise
    assert crossover.measured(None, 1, 1) == 1.0
    times[0.05, False] = 0.5
    assert crossover.measured(None, 1, 1) == 0.0


def test_a_crossover_is_measured_once_a_machine_and_a_damaged_cache_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    asked = []

    def measured(*given):
        asked.append(given)
        return 0.25

    monkeypatch.setattr(crossover, "measured", measured)
    layer = sparse_of(nn.Linear(20, 10))
    assert [crossover.of(layer, 8, 1) for _ in range(3)] == [0.25] * 3
    assert len(asked) == 1
    crossover.of(layer, 9, 1)  # another batch is another question
    crossover.of(layer.double(), 8, 1)
    assert len(asked) == 3
    (tmp_path / "resparse" / "crossover.json").write_text("{")
    crossover.of(layer, 8, 1)
    assert len(asked) == 4


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(Missing, match="cannot write"):
        crossover.of(sparse_of(nn.Linear(20, 10)), 8, 1)


@pytest.mark.parametrize("name", LAYERS)
def test_both_sides_are_timed(name):
    made = sparse_of(LAYERS[name])
    for packs in (True, False):
        assert crossover.step_s(made, 4, 6, 0.2, packed=packs) > 0
    assert 0 <= crossover.measured(made, 4, 6) <= 1
