"""What is timed of a step, and what it is held to."""

import json
from itertools import accumulate, chain

import pytest
import torch

from resparse.__main__ import main
from resparse.bench import step as bench_step
from resparse.bench.step import Row, line, require_quick, step_row, training
from resparse.errors import UsageError, VerdictFailed
from resparse.how import How


def row(
    model="mlp",
    precision="fp32",
    threads=2,
    dense_ms=20.0,
    masked_ms=20.8,
    device="cpu",
    overhead=4.0,
):
    return Row(
        model=model,
        precision=precision,
        device=device,
        threads=threads,
        dense_ms=dense_ms,
        masked_ms=masked_ms,
        overhead=overhead,
    )


def test_an_epoch_by_hand():
    found = row()
    assert found.epoch_s == pytest.approx(0.0208 * 351)
    assert line(found).split() == ["mlp", "fp32", "2", "20.00", "20.80", "4.00", "7.30", "8.0"]


def test_an_epoch_is_held_to_its_time_on_two_cores_only():
    assert row(precision="bf16").most_epoch_s == 3.5
    assert row(threads=1).most_epoch_s is None
    assert row(device="a GPU").most_epoch_s is None
    assert row(model="wrn22_2").most_epoch_s is None


def test_what_is_quick_enough_passes():
    require_quick([row(masked_ms=22.7, overhead=5.0)])  # 7.97 s


@pytest.mark.parametrize(
    ("slow", "said"),
    [
        (row(overhead=5.5), r"mlp in fp32: masking is 5.5 % \(limit 5 %\)$"),
        (row(masked_ms=23.0), r"mlp in fp32: an epoch takes 8.1 s \(limit 8 s\)$"),
        (row(masked_ms=30.0, overhead=50.0), r"masking is 50.0 % .*; mlp in fp32: an epoch"),
        (row(overhead=float("nan")), r"masking is nan %"),
    ],
)
def test_what_is_too_slow_fails(slow, said):
    assert line(slow).endswith("  OVER")
    with pytest.raises(VerdictFailed, match=said):
        require_quick([row(), slow])


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(bench_step, "IMAGES", 1280)
    monkeypatch.setattr(bench_step, "TURNS", {"mlp": (3, 2)})
    return bench_step.random_cifar()


def test_both_trainings_take_turns_and_a_round_is_many_steps(few):
    """Three rounds of two steps each: seconds are by hand, and of a ratio those of one round."""
    took = [(2, 3), (20, 22), (4, 5)]  # s: dense, masked
    ends = accumulate(chain.from_iterable((0, s) for pair in took for s in pair))
    found = step_row("mlp", "fp32", How(), few, lambda: next(ends))
    assert (found.dense_ms, found.masked_ms) == (2000.0, 2500.0)
    assert found.overhead == pytest.approx(25.0)  # of 50, 10 and 25
    assert next(ends, None) is None


def test_only_the_masked_training_has_weights_outside(few):
    dense, static = (training("mlp", m, "fp32", How(), few) for m in ("dense", "static"))
    assert dense.masks.nnz() == dense.method.sizes
    assert sum(static.masks.nnz().values()) == round(0.05 * 3_675_136)
    assert static.run.recipe.batch_size == 128


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is timed instead of the CPU")
@pytest.mark.parametrize("has", [True, False])
def test_bf16_is_timed_where_the_cpu_has_instructions_for_it(has, monkeypatch, few):
    """AVX-512 alone is not enough: there products in bf16 are emulated."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has)
    monkeypatch.setattr(bench_step, "step_row", lambda model, kind, *_: row(model, kind))
    said = []
    rows = bench_step.step_report(["mlp"], 1, said.append)
    assert [row.precision for row in rows] == ["fp32", "bf16"][: 1 + has]
    assert any("bf16: this CPU has no instructions" in line for line in said) != has


def test_a_model_that_is_not_timed_here_is_refused():
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="--model resnet50; valid here: mlp, wrn22_2"):
            bench_step.step_report(["resnet50"], 1)


def test_the_command_prints_rows_or_json_and_its_verdict(monkeypatch, capsys):
    found = row(overhead=10.0)
    monkeypatch.setattr(bench_step, "step_report", lambda models, threads, say: [found])
    assert main(["bench", "step", "--json"]) == 1
    printed = capsys.readouterr()
    assert "masking is 10.0 %" in printed.err
    (said,) = json.loads(printed.out)
    assert (said["model"], said["faults"]) == ("mlp", found.faults())
