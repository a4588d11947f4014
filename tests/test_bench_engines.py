"""What bench engines says of its rows, and that it times what it says."""

import dataclasses

import pytest
import torch

from resparse.bench import csr
from resparse.bench import engines as bench_engines
from resparse.bench import step as bench_step
from resparse.bench.csr import CSRLinear, DenseLinear
from resparse.bench.engines import (
    OneBatch,
    Row,
    bytes_each,
    layer_rows,
    line,
    mlp_rows,
    require_fast,
)
from resparse.bench.engines_plot import draw
from resparse.bench.step import random_cifar, training
from resparse.engine import crossover
from resparse.errors import VerdictFailed
from resparse.how import How
from resparse.trainer import train_steps

ROW = Row(
    what="mlp",
    batch=128,
    density=0.05,
    dense_ms=18.0,
    masked_ms=19.0,
    bf16_ms=12.0,
    sparse_ms=3.0,
    flops=3e7,
    peak=1e11,
    csr_ms=3.1,
    bytes_each=18.2,
    epoch_s=1.4,
    mask_work=9.0,
)


def test_what_holds_is_no_fault_and_follows_from_the_times():
    require_fast([ROW], 2)
    assert ROW.gain == pytest.approx(19 / 3)
    assert ROW.share == pytest.approx(10.0)
    assert line(ROW).split() == [
        *("mlp", "128", "0.05", "18.00", "19.00", "12.00", "3.10", "3.00"),
        *("6.3", "10.0", "18.2", "1.40", "9.0"),
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    {
        "slow": ({"sparse_ms": 3.2}, "sparse is 5.9 times faster .limit 6"),
        "slow at 0.02": ({"density": 0.02}, "sparse is 6.3 times faster .limit 10"),
        "slower": ({"csr_ms": 2.5}, "sparse takes 3.00 ms, PyTorch's CSR products 2.50 .limit"),
        "large": ({"bytes_each": 48.5}, "48 bytes a weight .limit 48"),
        "busy": ({"mask_work": 15.1}, "mask work 15.1 % .limit 15 %"),
        "long": ({"epoch_s": 2.6}, "an epoch takes 2.60 s .limit 2.5 s"),
    }.values(),
)
def test_each_limit_is_held(change, says):
    with pytest.raises(VerdictFailed, match=f"mlp at density 0.0[25]: {says}"):
        require_fast([dataclasses.replace(ROW, **change)], 2)


def test_other_densities_layers_and_threads_have_no_such_limits():
    for change in ({"density": 0.1, "sparse_ms": 9.0}, {"what": "4096x4096", "sparse_ms": 9.0}):
        require_fast([dataclasses.replace(ROW, **change)], 2)
    require_fast([dataclasses.replace(ROW, epoch_s=3.0)], 1)


def test_a_picture_is_drawn_with_and_without_bf16(tmp_path):
    rows = [dataclasses.replace(ROW, density=d) for d in bench_engines.DENSITIES]
    layers = [f"layer {n}" for n in range(7)]  # panels of two rows, the last of them not full
    rows += [
        dataclasses.replace(row, what=x, bf16_ms=None, csr_ms=None) for x in layers for row in rows
    ]
    draw(rows, tmp_path / "engines.png")
    assert (tmp_path / "engines.png").read_bytes().startswith(b"\x89PNG")


def test_all_ways_of_the_mlp_are_timed(monkeypatch, tmp_path):
    """Few steps, one density; the first of the ways is what the row is about."""
    monkeypatch.setattr(bench_step, "IMAGES", 1280)
    for module, name, value in (
        (bench_step, "ROUNDS", 1),
        (bench_engines, "ROUND_STEPS", 2),
        (bench_engines, "UPDATES", 2),
        (bench_engines, "DENSITIES", (0.02,)),
    ):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(crossover, "measured", lambda *given: 1.0)
    said = []
    (row,) = mlp_rows(How(), random_cifar(), 1e11, said.append)
    assert said == [row]
    assert 0 < row.sparse_ms < row.masked_ms
    assert row.epoch_s > 0
    assert row.csr_ms > 0
    assert row.mask_work > 0
    assert 12 < row.bytes_each < 48
    nnz = round(0.02 * 3_675_136)
    assert 2 * 128 * 2 * nnz < row.flops < 2 * 128 * 3 * nnz


def test_the_csr_network_learns_as_the_masked_one(monkeypatch, tmp_path):
    """Same weights after four steps on one batch, to the last bits of float32."""
    monkeypatch.setattr(bench_step, "IMAGES", 1280)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(crossover, "measured", lambda *given: 0.5)
    images = random_cifar()
    fixed = OneBatch(images.name, images.classes, images.splits, images.mean, images.std)
    packed, masked = (
        training("mlp", "static", "fp32", How(), fixed, engine=engine)
        for engine in ("sparse", "masked")
    )
    known = csr.network(packed)
    assert [type(layer) for layer in known[::2]] == [CSRLinear, CSRLinear, DenseLinear]
    monkeypatch.setattr(csr, "network", lambda t: known)
    for _ in zip(csr.csr_steps(packed, 4), train_steps(masked, 4), strict=True):
        pass
    for (name, mask), layer in zip(masked.masks.mask.items(), known[::2], strict=True):
        weight = masked.model.get_submodule(name).weight
        found = weight[mask] if isinstance(layer, CSRLinear) else weight
        torch.testing.assert_close(layer.weight.detach(), found.detach(), rtol=1e-5, atol=1e-7)


def test_square_layers_and_1x1_convolutions_are_timed_alone(monkeypatch):
    """Small ones, at one density; FLOPs are of three products at the weights that are left."""
    for name, value in (("LAYER", 64), ("BATCHES", (4,)), ("POINTWISE", ((8, 16, 5),))):
        monkeypatch.setattr(bench_engines, name, value)
    monkeypatch.setattr(bench_engines, "DENSITIES", (0.1,))
    said = []
    square, conv = layer_rows(How(), 1e11, said.append)
    assert said == [square, conv]
    assert [(row.what, row.batch) for row in said] == [("64x64", 4), ("1x1 8-16 x25", 32)]
    assert square.flops == pytest.approx(6 * 4 * 64 * 64 * 0.1)
    assert conv.flops == pytest.approx(6 * 32 * 25 * 8 * 16 * 0.1)
    assert all(row.sparse_ms > 0 and row.masked_ms > 0 for row in said)


def test_a_masked_network_has_no_packed_layer_to_weigh():
    assert bytes_each(training("mlp", "static", "fp32", How(), random_cifar())) is None
