"""What `resparse doctor` says of machines and environments with one thing wrong, and of none."""

import json
import sys
from pathlib import Path

import pytest
import torch

from resparse import doctor, driver, golden, locks, provenance
from resparse.__main__ import main
from resparse.data import ffcv_kernel

ROOT = Path(__file__).resolve().parents[1]
HASH = " \\\n    --hash=sha256:" + "0" * 64


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A function that pretends the kernel's driver, the CUDA it runs, and a GPU that torch sees."""

    def pretend(kernel, cuda, gpu=None, built="13.0"):
        file = tmp_path / "driver"
        file.write_text(f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {kernel}  Tue\nGCC 12\n")
        monkeypatch.setattr(driver, "KERNEL", file if kernel else tmp_path / "none")
        monkeypatch.setattr(driver, "driver_cuda", lambda: cuda)
        monkeypatch.setattr(torch.version, "cuda", built)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu is not None)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: gpu)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (9, 0))
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_90"])
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2 if gpu else 0)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    return pretend


def test_one_problem_is_exit_code_4_with_what_to_do(monkeypatch, capsys):
    fine, wrong = doctor.Finding("a", "1"), doctor.Finding("b", "2", "b is 2", "make it 3")
    monkeypatch.setattr(doctor, "LOOKS", (lambda: fine, lambda: wrong))
    assert main(["doctor"]) == 4
    said = capsys.readouterr().out.splitlines()
    assert said == ["a: 1", "b: 2", "problem: b: b is 2; to do: make it 3", "1 problem"]
    assert main(["doctor", "--json"]) == 4
    found = json.loads(capsys.readouterr().out)
    assert found == {"a": "1", "b": "2", "problems": ["b: b is 2; to do: make it 3"]}
    monkeypatch.setattr(doctor, "LOOKS", (lambda: fine,))
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.splitlines() == ["a: 1", "no problem"]


def test_every_finding_of_the_issue_is_there_once():
    names = [look.__name__.removesuffix("_found") for look in doctor.LOOKS]
    asked = {"python", "torch", "cuda", "driver", "gpu", "ffcv", "disk", "datasets", "lock"}
    assert asked | {"determinism", "image", "cpu"} == set(names)
    assert len(set(names)) == len(names)


def test_another_python(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))
    monkeypatch.setattr("platform.python_version", lambda: "3.12.1")
    found = doctor.python()
    assert "3.12.1; valid: 3.11" in found.sentence


def test_ffcv_without_its_libraries(monkeypatch):
    monkeypatch.delenv("RESPARSE_LOADER", raising=False)
    monkeypatch.setattr(locks, "installed", lambda: {"ffcv": "1.0.2"})
    monkeypatch.setattr(ffcv_kernel, "_library", lambda: "libopencv_core.so.0")
    found = doctor.ffcv_found()
    assert "libopencv_core.so.0" in found.sentence
    assert "apt-get install -y libturbojpeg0-dev libopencv-dev" in found.to_do


def test_ffcv_is_missed_only_where_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(locks, "installed", dict)
    monkeypatch.setattr(ffcv_kernel, "_library", lambda: "libopencv_core.so.0")
    monkeypatch.delenv("RESPARSE_LOADER", raising=False)
    assert doctor.ffcv_found().problem is None
    monkeypatch.setenv("RESPARSE_LOADER", "ffcv")
    found = doctor.ffcv_found()
    assert found.value == "not installed"
    assert "RESPARSE_LOADER=ffcv nox" in found.sentence


def test_a_machine_without_a_gpu_has_no_problem(machine):
    machine(None, None)
    assert (doctor.driver_found().value, doctor.driver_found().problem) == ("none", None)
    assert (doctor.gpu().value, doctor.gpu().problem) == ("none", None)


@pytest.mark.parametrize(
    ("cuda", "built", "words"),
    [
        ((12, 4), "13.0", ["550.54.15", "CUDA 12.4", "of CUDA 13.0", "580 or later", "v100.lock"]),
        ((11, 8), "13.0", ["CUDA 11.8", "580 or later"]),
        ((11, 8), "12.8", ["of CUDA 12.8", "525 or later"]),
    ],
)
def test_a_driver_too_old_is_named_with_what_runs(cuda, built, words, machine):
    machine("550.54.15", cuda, built=built)
    found = doctor.driver_found()
    assert found.problem is not None
    for word in words:
        assert word in found.sentence
    assert ("v100.lock" in found.sentence) == ("v100.lock" in words)
    assert doctor.gpu().problem is None  # said once


def test_a_driver_of_the_same_major_version_will_do(machine):
    machine("580.65.06", (13, 0), "NVIDIA H100", built="13.4")
    assert doctor.driver_found() == doctor.Finding("driver", "580.65.06, CUDA 13.0")
    assert doctor.gpu() == doctor.Finding("gpu", "2 x NVIDIA H100")


def test_a_container_without_the_drivers_library(machine):
    machine("580.65.06", None)
    assert "--gpus all" in doctor.driver_found().to_do
    assert "libcuda.so.1" in str(doctor.driver_found().problem)


def test_a_good_driver_whose_gpu_is_not_seen(machine, monkeypatch):
    machine("580.65.06", (13, 0))
    assert "nvidia-smi" in doctor.gpu().to_do
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert doctor.gpu().problem is None


def test_the_drivers_library_is_asked(monkeypatch):
    class Library:
        @staticmethod
        def cuDriverGetVersion(place):
            place._obj.value = 12040
            return 0

    monkeypatch.setattr("ctypes.CDLL", lambda name: Library)
    assert driver.driver_cuda() == (12, 4)


def test_no_library_of_a_driver(monkeypatch):
    monkeypatch.setattr(driver, "LIBRARY", "libcuda.so.0")
    assert driver.driver_cuda() is None


def test_a_full_or_closed_disk(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    assert doctor.disk().problem is None
    monkeypatch.setattr(doctor, "ROOM_BYTES", 10**18)
    assert "GB needed" in doctor.disk().sentence
    assert "--runs DIR" in doctor.disk().to_do
    monkeypatch.setattr(doctor, "ROOT", Path("/proc"))
    assert "cannot be written" in doctor.disk().sentence


def test_another_folder_for_runs_is_looked_at_where_the_image_cannot_be_written(
    monkeypatch, tmp_path, capsys
):
    """As in Apptainer, whose image is read-only."""
    monkeypatch.setattr(doctor, "ROOT", Path("/proc"))
    monkeypatch.setattr(doctor, "LOOKS", (doctor.disk,))
    assert main(["doctor"]) == 4
    assert "--runs DIR, also to doctor" in capsys.readouterr().out
    assert main(["doctor", "--runs", str(tmp_path / "runs")]) == 0
    assert f"free in {tmp_path / 'runs'}" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()


def test_what_cannot_be_done_in_the_image_is_not_asked_for_there(monkeypatch, tmp_path):
    """No git, nox or apt; a GPU's driver is the machine's."""
    names = ("lock", "ffcv", "python", "driver")
    found = [doctor.Finding(name, "1", f"{name} is 1", "nox") for name in names]
    monkeypatch.setattr(doctor, "LOOKS", [lambda f=f: f for f in found])
    assert {f.to_do for f in doctor.findings()} == {"nox"}
    monkeypatch.setattr(provenance, "IMAGE", tmp_path / "image.toml")
    provenance.IMAGE.write_text('lock = "default"\n')
    assert [f.to_do for f in doctor.findings()] == [*(3 * [doctor.ANEW]), "nox"]


def test_data_roots(monkeypatch, tmp_path):
    monkeypatch.delenv("RESPARSE_PREPARED", raising=False)
    monkeypatch.delenv("RESPARSE_DATA", raising=False)
    assert doctor.datasets().value == "digits; RESPARSE_DATA is not set"
    monkeypatch.setenv("RESPARSE_DATA", str(tmp_path))
    assert doctor.datasets().value == f"digits in {tmp_path}"
    monkeypatch.setenv("RESPARSE_DATA", str(tmp_path / "gone"))
    assert "gone' is not a folder" in doctor.datasets().sentence


def test_inside_the_image_its_lock_and_revision_are_said(monkeypatch, tmp_path):
    assert doctor.image().value.startswith("none")
    monkeypatch.setattr(provenance, "IMAGE", tmp_path / "image.toml")
    provenance.IMAGE.write_text('lock = "v100"\nrevision = "abc"\n')
    assert doctor.image().value == "lock v100, revision abc"


def test_other_bits_than_frozen(monkeypatch):
    frozen = {"digits_mlp": {"rigl": ["start", "0 loss 0x1p+1"]}}
    monkeypatch.setattr(golden, "stored", lambda version: frozen)
    monkeypatch.setattr(golden, "traces", lambda workers, methods: (frozen, {}))
    assert doctor.determinism().problem is None
    moved = {"digits_mlp": {"rigl": ["start", "0 loss 0x1p+2"]}}
    monkeypatch.setattr(golden, "traces", lambda workers, methods: (moved, {}))
    assert "rigl on digits_mlp differs: 0 loss 0x1p+2" in doctor.determinism().sentence
    crashed = ({"digits_mlp": {}}, {("digits_mlp", "rigl"): "MemoryError: all"})
    monkeypatch.setattr(golden, "traces", lambda workers, methods: crashed)
    assert "failed: MemoryError" in doctor.determinism().sentence


def test_the_bits_of_this_machine_are_looked_at():
    found = doctor.determinism()
    assert found.problem is None
    assert found.value.startswith(("bitwise: 50 steps of rigl", "not tried: no golden numbers"))
