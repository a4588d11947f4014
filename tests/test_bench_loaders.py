"""The benchmark of the loaders: speed from given clocks, a verdict that can fail, real memory."""

import json
import os
import subprocess
import sys
import time

import pytest
import torch

from resparse.__main__ import main
from resparse.bench import loaders as bench_loaders
from resparse.bench.loaders import Row, require_fast, speed, tree, tree_cpu_s, tree_mib
from resparse.errors import VerdictFailed


def row(ratio=1.0, resolution=None):
    loader = "ffcv" if resolution else "torch"
    return Row(
        loader=loader,
        max_resolution=resolution,
        images_per_s=100 * ratio,
        cpu_ms=1.0,
        peak_mib=10.0,
        ratio=ratio,
    )


class Endless:
    """Ten images; a batch is its number."""

    train_size = 10
    asked = 0

    def train_batches(self, seed, batch_size, start, stop):
        for step in range(start, stop):
            self.asked = step + 1
            yield torch.tensor([step]), torch.tensor([step])


def test_an_epoch_is_not_counted_nor_what_comes_after():
    looks = iter([(100.0, 7.0), (104.0, 8.0)])
    data = Endless()
    # batches of 4: three to warm up, then five for at least 18 images: 20 in 4 s of 1 CPU second
    assert speed(data, 18, 4, lambda: next(looks)) == (5.0, 50.0)
    assert data.asked == 3 + 5


def test_the_verdict_is_of_the_ratio_at_400_alone():
    require_fast([row(), row(3.0, 400), row(1.1, 500)])
    with pytest.raises(VerdictFailed, match=r"at max_resolution 400 is 2.99 times .* required: 3$"):
        require_fast([row(), row(2.99, 400), row(9.0, 500)])
    with pytest.raises(VerdictFailed, match="nan times"):
        require_fast([row(), row(float("nan"), 400)])


def test_memory_and_time_are_of_a_process_and_all_below_it():
    grow = "x = bytearray(80 << 20); print(flush=True); input()"
    inner = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grow!r}])"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", inner], **pipes) as process:
        process.stdout.readline()  # the process below it has its memory
        assert len(list(tree(process.pid))) == 2
        assert 80 < tree_mib(process.pid) < 160
        process.communicate(b"\n")
    assert tree_mib(process.pid) == 0.0
    before, until = tree_cpu_s(os.getpid()), time.process_time() + 0.1
    while time.process_time() < until:
        pass
    assert 0.08 < tree_cpu_s(os.getpid()) - before < 1.0


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["loaders", "--model", "mlp"], 5, "bench loaders --model; valid: only for bench masks"),
        (
            ["masks", "--data-root", "."],
            5,
            "bench masks --data-root; valid: only for bench loaders",
        ),
        (
            ["loaders"],
            4,
            "no data root: give --data-root DIR or set RESPARSE_DATA (imagenet-sample",
        ),
    ],
)
def test_what_cannot_be_timed_is_said(given, code, said, monkeypatch, capsys):
    monkeypatch.delenv("RESPARSE_DATA", raising=False)
    assert main(["bench", *given]) == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("ratio", "code"), [(3.5, 0), (2.5, 1)])
def test_json_holds_every_row_also_where_it_is_too_slow(ratio, code, monkeypatch, tmp_path, capsys):
    rows = [row(), row(ratio, 400), row(2.0, 500)]
    monkeypatch.setattr(bench_loaders, "loaders_report", lambda *arguments: rows)
    assert main(["bench", "loaders", "--json", "--data-root", str(tmp_path)]) == code
    said = json.loads(capsys.readouterr().out)
    assert [(r["loader"], r["max_resolution"], r["ratio"]) for r in said["rows"]] == [
        ("torch", None, 1.0),
        ("ffcv", 400, ratio),
        ("ffcv", 500, 2.0),
    ]
    assert (said["images"], said["batch"], said["required_ratio"]) == (4000, 100, 3.0)
