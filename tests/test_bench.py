"""The benchmark of mask work: shares from given seconds, and a verdict that can fail."""

import json
from itertools import pairwise

import pytest
import torch

from resparse import registry
from resparse.__main__ import main
from resparse.bench import masks as bench
from resparse.bench.masks import Stopwatch, Timing, timing
from resparse.errors import UsageError


def row(**changes):
    """Steps of 10 ms, updates of 30 ms, nothing else."""
    known = {"model": "mlp", "method": "rigl", "limit": 3.0, "steps": 1000, "step_s": 0.010}
    known["exploring"] = 1.0
    seconds = {"observe_s": 0.0, "update_s": 0.030, "init_s": 0.0}
    return Timing(**(known | seconds | changes))


def test_shares_by_hand():
    # 100 steps take 1 s, one update 30 ms: 0.03 / 1.03
    assert row().share == pytest.approx(100 * 0.03 / 1.03)
    # an update of 1 s doubles the time
    assert row(update_s=1.0).share == pytest.approx(50.0)
    # 0.1 ms at every step is 10 ms in 100: 0.04 / 1.04
    assert row(observe_s=0.0001).share == pytest.approx(100 * 0.04 / 1.04)
    # 2 s for the first masks are 2 ms a step of 1,000: 0.23 / 1.23
    assert row(init_s=2.0).share == pytest.approx(100 * 0.23 / 1.23)
    assert row(update_s=0.0).share == 0.0
    # only in the first half of the training: 15 ms in 1 s, but the first masks come all the same
    assert row(exploring=0.5).share == pytest.approx(100 * 0.015 / 1.015)
    assert row(exploring=0.5).share_updating == pytest.approx(100 * 0.03 / 1.03)
    assert row(exploring=0.0, init_s=2.0).share == pytest.approx(100 * 0.002 / 0.012)


def test_a_timing_is_made_of_medians():
    plain = [{"batch": 9.0, "backward": b, "observe": 0.2, "step": 1.0} for b in (3.0, 4.0, 90.0)]
    due = [{"backward": 7.0, "observe": 0.5, "update": u} for u in (2.0, 4.0, 3.0)]
    known = {"model": "mlp", "method": "rigl", "limit": 3.0, "steps": 10, "init_s": 1.0}
    known["exploring"] = 1.0
    found = timing(plain, due, **known)
    assert (found.step_s, found.observe_s) == (4.0 + 1.0, 0.2)
    assert found.update_s == pytest.approx(3.0 + 0.5 - 0.2)  # what every step sees is not twice
    assert timing(plain, [], **known).update_s == 0.0


def test_the_stopwatch_tells_each_part_from_the_end_of_the_one_before():
    times = iter([1.0, 3.0, 6.0, 10.0, 11.0])
    watch = Stopwatch(lambda: next(times))
    for part in ("a", "b", "a"):
        watch.lap(part)
    assert watch.take() == {"a": 2.0 + 4.0, "b": 3.0}
    watch.lap("c")
    assert watch.take() == {"c": 1.0}


@pytest.fixture
def timed(monkeypatch):
    """A function that makes every method take the given milliseconds an update."""

    def pretend(**update_ms):
        def time_method(model, method, updates, clock):
            limit = 5.0 if method == "snfs" else 3.0
            update_s = update_ms.get(method, 0) / 1e3
            return row(model=model, method=method, limit=limit, update_s=update_s)

        monkeypatch.setattr(bench, "time_method", time_method)

    return pretend


def test_within_the_limits_is_exit_code_0(timed, capsys):
    timed(rigl=30, snfs=50)  # 2.9 % and 4.8 %
    assert main(["bench", "masks"]) == 0
    out = capsys.readouterr().out
    assert "OVER" not in out
    assert [line.split()[0] for line in out.splitlines()[2:]].count("wrn22_2") >= 15


def test_a_method_over_its_limit_is_exit_code_1_by_name(timed, capsys):
    timed(rigl=32, snfs=54, set=30)  # 3.10 %, 5.12 %, 2.91 %
    assert main(["bench", "masks", "--model", "mlp"]) == 1
    captured = capsys.readouterr()
    assert "rigl on mlp 3.10 % (limit 3 %); snfs on mlp 5.12 % (limit 5 %)" in captured.err
    assert "set on" not in captured.err
    assert captured.out.count("OVER") == 2


def test_json_holds_every_row_also_where_one_is_over(timed, capsys):
    timed(rigl=32)
    given = ["bench", "masks", "--model", "mlp", "--method", "rigl", "--method", "set", "--json"]
    assert main(given) == 1
    rows = json.loads(capsys.readouterr().out)
    assert [(r["method"], r["within"]) for r in rows] == [("rigl", False), ("set", True)]
    assert rows[0]["share"] == pytest.approx(100 * 0.032 / 1.032)


def test_unknown_names_are_refused_before_anything_is_timed():
    for options in (["--model", "vgg16"], ["--method", "rigel"]):
        assert main(["bench", "masks", *options]) == 5
    with pytest.raises(UsageError, match=r"unknown model 'vgg16'; valid: mlp, wrn22_2"):
        bench.masks_report(["vgg16"], ["set"], 1)


def pruned(fields, steps, updates):
    """Weights of a million that GMP prunes at each of its first updates."""
    method = registry.build("gmp", fields, {"fc": 0.1}, {"fc": 1_000_000}, steps)
    left = [method.nnz_at(step)["fc"] for step in range(-1, steps) if method.updates_at(step)]
    return [before - after for before, after in pairwise([1_000_000, *left[:updates]])]


def test_gmp_prunes_as_much_at_a_timed_update_as_in_the_papers_training():
    # 329 prunings a training: the first whole one loses 3 x 0.9 / 329 of all weights, or 0.82 %
    run = bench.bench_run("mlp", "gmp", "0" * 64)
    timed = pruned(run.fields, run.recipe.steps, 11)
    real = pruned({"interval": bench.INTERVAL}, run.recipe.steps, 400)
    assert max(real) == pytest.approx(8200, abs=60)
    assert min(timed) > 0.93 * max(real)
    assert max(timed) == pytest.approx(max(real), rel=0.01)
    assert bench.exploring(run) == pytest.approx(0.78125, abs=2e-4)


@pytest.mark.parametrize("method", ["rigl", "ltr", "dense"])
def test_every_part_of_a_real_run_is_timed(method, monkeypatch):
    """A clock that ticks once a look: what matters is which parts there are, not how long."""
    monkeypatch.setattr(bench, "BATCH", 2)
    ticks = iter(range(10_000))
    threads = torch.get_num_threads()
    found = bench.time_method("mlp", method, 1, lambda: next(ticks))
    assert (found.step_s, found.observe_s, found.init_s) == (2.0, 1.0, 1.0)
    assert found.update_s == (1.0 if method == "rigl" else 0.0)
    assert found.limit == 3.0
    # RigL's last update comes before 78.125 % of the steps, every second one being due here
    assert found.exploring == pytest.approx(0.78125 if method == "rigl" else 0.0, abs=2e-4)
    assert torch.get_num_threads() == threads
