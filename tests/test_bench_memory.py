"""What is timed of the in-memory loader, and what it is held to."""

import json

import pytest
import torch

from resparse.__main__ import main
from resparse.bench import memory as bench_memory
from resparse.bench.memory import Row, line, memory_report, require_quick, speed, step_times
from resparse.data.memory import InMemory
from resparse.errors import Missing, UsageError, VerdictFailed


def images(count=384):
    pixels = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8)
    split = (pixels, torch.arange(count) % 10)
    return InMemory("x", 10, {"train": split}, mean=[1.0] * 3, std=[2.0] * 3, pad=4, flip=True)


def row(threads=2, images_per_s=90_000.0, batch_ms=1.0, step_ms=20.0):
    return Row(threads=threads, images_per_s=images_per_s, batch_ms=batch_ms, step_ms=step_ms)


def test_speed_is_images_by_time_without_the_first_batch(monkeypatch):
    clock = iter([10.0, 14.0])
    monkeypatch.setattr(bench_memory.time, "perf_counter", lambda: next(clock))
    assert speed(images(), 5) == 5 * 128 / 4.0


def test_a_step_is_timed_with_the_wait_for_its_batch():
    batch_ms, step_ms = step_times(images(), 3)
    assert 0 < batch_ms < step_ms / 2


def test_the_share_is_of_the_whole_step():
    assert row().share == 5.0
    assert line(row()).split() == ["2", "90,000", "1.000", "20.00", "5.00"]


def test_what_is_quick_enough_passes():
    require_quick(row(images_per_s=80_000.0, batch_ms=3.0))  # at both limits


@pytest.mark.parametrize(
    ("slow", "said"),
    [
        (row(images_per_s=79_999.0), r"makes 79,999 images a second; required: 80,000"),
        (row(images_per_s=float("nan")), r"makes nan images a second"),
        (row(batch_ms=3.1), r"data are 15.5 % of a step of mlp; required: at most 15 %"),
    ],
)
def test_what_is_too_slow_fails(slow, said):
    with pytest.raises(VerdictFailed, match=said):
        require_quick(slow)


def test_a_dataset_that_is_not_there_or_not_in_memory(tmp_path):
    with pytest.raises(UsageError, match=r"'imagenet' is not one in memory; valid: cifar10, "):
        memory_report("imagenet", None, 1, 1)
    with pytest.raises(Missing, match=r"cifar10 is not prepared: there is no .*; run res"):
        memory_report("cifar10", tmp_path, 1, 1)


def test_the_command_prints_a_row_or_json_and_its_verdict(monkeypatch, capsys):
    found = row(batch_ms=4.0)
    monkeypatch.setattr(bench_memory, "memory_report", lambda *arguments: found)
    assert main(["bench", "memory"]) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == line(found)
    assert "data are 20.0 % of a step" in printed.err
    main(["bench", "memory", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert (said["dataset"], said["share"], said["most_share"]) == ("cifar10_jpeg75", 20.0, 15.0)
