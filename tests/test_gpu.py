"""A GPU that this torch cannot use is said in a sentence before anything runs."""

import dataclasses
import json

import pytest
import torch
from conftest import counts_of, make_run
from safetensors.torch import load_file

from resparse import doctor
from resparse.__main__ import main
from resparse.beginning import start
from resparse.data import digits
from resparse.how import How
from resparse.record import RunStore
from resparse.reproduce import gpu_lacks
from resparse.runner import run_all
from resparse.trainer import train_steps

BUILT = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]  # of the default lock's torch


@pytest.fixture
def gpu(monkeypatch):
    """A function that pretends a GPU of a name and capability, or none."""

    def pretend(name=None, capability=(0, 0), built=BUILT):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: name is not None)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: name)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: list(built))

    return pretend


@pytest.fixture
def paper_level(monkeypatch, tmp_path):
    """A function that asks for the level that needs a GPU; returns the exit code."""
    monkeypatch.delenv("RESPARSE_DATA", raising=False)
    arguments = ["reproduce", "itop/table2", "--level", "paper", "--only", "Static", "--json"]
    yield lambda: main([*arguments, "--runs", str(tmp_path / "runs")])
    assert not (tmp_path / "runs").exists()


def test_without_a_gpu_the_paper_level_is_refused_with_exit_code_4(gpu, capsys, paper_level):
    gpu()
    assert len(gpu_lacks()) == 1
    assert paper_level() == 4
    captured = capsys.readouterr()
    assert "no CUDA GPU" in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_a_v100_is_refused_with_the_lock_that_serves_it(gpu, capsys, paper_level):
    gpu("Tesla V100-SXM2-16GB", (7, 0))
    assert paper_level() == 4
    captured = capsys.readouterr()
    for word in ("V100", "sm_70", "requirements/v100.lock", *BUILT):
        assert word in captured.err
    assert captured.err.count("\n") == 1


def test_the_doctor_finds_the_same_and_ends_with_4(gpu, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "LOOKS", (doctor.gpu,))
    gpu("Tesla V100-SXM2-16GB", (7, 0))
    assert main(["doctor", "--json"]) == 4
    found = json.loads(capsys.readouterr().out)
    assert found["gpu"] == "Tesla V100-SXM2-16GB"
    assert "requirements/v100.lock" in " ".join(found["problems"])
    gpu("NVIDIA H100", (9, 0))
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["problems"] == []


@pytest.mark.parametrize(
    ("capability", "built", "covered"),
    [
        ((9, 0), BUILT, True),
        ((7, 0), ["sm_70", "sm_80"], True),
        ((8, 9), BUILT, True),  # kernels of a lower minor version run, so sm_86 serves an L4
        ((12, 0), BUILT, True),
        ((8, 0), ["sm_86"], False),  # those of a higher one do not
        ((9, 0), ["sm_80", "sm_86"], False),  # nor those of another major version
        ((10, 0), ["sm_120"], False),
        ((12, 0), ["sm_100"], False),
        ((8, 6), [], False),
    ],
)
def test_a_gpu_is_covered_by_its_own_major_version(capability, built, covered, gpu):
    gpu("some GPU", capability, built)
    assert (gpu_lacks() == []) is covered


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA GPUs")
def test_batch_norms_of_several_processes_are_one(tmp_path):
    """The statistics are those of the whole batch."""
    run = make_run("set", 20)
    recipe = dataclasses.replace(run.recipe, sync_batch_norm=True)
    run = dataclasses.replace(run, precision="fp32", recipe=recipe)
    store, facts = RunStore(tmp_path), {"data_root": None, "notify": lambda run, what: None}
    how = How(device="cuda", world=2)
    assert run_all([run], store, how=how, workers=1, **facts) == {}
    plain = dataclasses.replace(run, recipe=dataclasses.replace(recipe, sync_batch_norm=False))
    alone = How(device="cuda")
    assert run_all([plain], store, how=alone, workers=1, **facts) == {}
    means = []
    for made in (run, plain):
        kept = load_file(store.folder(made).path / "final.safetensors")
        means.append(torch.cat([v for n, v in kept.items() if n.endswith("running_mean")]))
    torch.testing.assert_close(*means, rtol=1e-2, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("method", ["static", "set", "rigl"])
def test_steps_between_updates_wait_for_no_gpu(method):
    """The loop, data included, but where it looks at losses or moves masks."""
    run = dataclasses.replace(make_run(method, 60, interval=200), precision="fp32")
    if method == "static":
        run = dataclasses.replace(make_run(method, 60), precision="fp32")
    data = digits.load().to(torch.device("cuda"))
    t = start(run, data, counts_of(run), None, How(device="cuda"))
    steps = train_steps(t, 40)
    for _ in range(3):  # what is made once may wait
        next(steps)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(10):
            next(steps)
    finally:
        torch.cuda.set_sync_debug_mode("default")
