"""What is timed of replicates, and what it is held to."""

import json

import pytest

from resparse.__main__ import main
from resparse.bench import replicates as bench_replicates
from resparse.bench import step as bench_step
from resparse.bench.replicates import Row, line, replicates_row, require_gain
from resparse.errors import VerdictFailed
from resparse.how import How


def row(alone_ms=256.0, together_ms=250.0, replicates=8):
    return Row(
        replicates=replicates,
        device="cpu",
        threads=1,
        alone_ms=alone_ms,
        together_ms=together_ms,
    )


def test_runs_per_hour_by_hand():
    """70,200 steps of 0.1 s are 1.95 hours: of 8 runs at once 4.1 an hour, 90 in 21.9 hours."""
    found = row(alone_ms=200.0, together_ms=100.0)
    assert found.rates == pytest.approx((8 / 3.9, 8 / 1.95))
    assert found.gain == 2.0
    assert line(found).split() == ["8", "1", "200.00", "100.00", "2.05", "4.10", "2.000", "21.94"]


def test_what_is_no_slower_but_for_noise_passes():
    require_gain([row(), row(together_ms=256.0), row(alone_ms=100.0, together_ms=103.0)])


@pytest.mark.parametrize("slow", [row(together_ms=320.0), row(together_ms=float("nan"))])
def test_what_is_slower_together_fails(slow):
    assert line(slow).endswith("  SLOWER")
    said = r"8 replicates take (125|nan) % of the time of one after another \(limit 100 %, noise 3"
    with pytest.raises(VerdictFailed, match=said):
        require_gain([row(), slow])


def test_both_ways_take_turns_and_a_round_is_as_many_steps_of_each(monkeypatch):
    """The clock adds 1 a look: a round of two steps takes (1 - 0) / 2."""
    monkeypatch.setattr(bench_step, "IMAGES", 1280)
    monkeypatch.setattr(bench_step, "ROUNDS", 2)
    monkeypatch.setattr(bench_replicates, "ROUND_STEPS", 2)
    ticks, trained = iter(range(8)), []
    made = bench_replicates.training
    monkeypatch.setattr(
        bench_replicates, "training", lambda *given: trained.append(made(*given)) or trained[-1]
    )
    found = replicates_row(2, How(), bench_step.random_cifar(), lambda: next(ticks))
    assert (found.alone_ms, found.together_ms) == (500.0, 500.0)
    assert next(ticks, None) is None
    assert [t.run.seed for t in trained] == [0, 1, 0, 1]
    assert [t.progress.step for t in trained] == [7, 7, 7, 7]
    for one, other in zip(trained[:2], trained[2:], strict=True):
        assert other.watch.take() == pytest.approx(one.watch.take(), rel=1e-4)


def test_the_command_prints_rows_or_json_and_its_verdict(monkeypatch, capsys):
    slow = row(together_ms=320.0)
    monkeypatch.setattr(bench_replicates, "replicates_report", lambda threads, say: [slow])
    assert main(["bench", "replicates", "--json"]) == 1
    printed = capsys.readouterr()
    assert "8 replicates take 125 % of the time" in printed.err
    (said,) = json.loads(printed.out)
    assert (said["replicates"], said["faults"]) == (8, slow.faults())
    assert said["together_per_hour"] == pytest.approx(8 * 3.6e6 / 320 / 70_200)
