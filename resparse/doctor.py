"""The command `doctor`: what this machine and environment have, what is wrong, and what to do."""

import json
import os
import platform
import shutil
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from resparse import data, driver, golden, locks
from resparse.artifact import ROOT
from resparse.data.ffcv_kernel import INSTALL, require_ffcv
from resparse.data.places import data_folder
from resparse.errors import Missing, ResparseError
from resparse.files import require_writable
from resparse.provenance import of_image
from resparse.reproduce import gpu_lacks

ROOM_BYTES = 10**9  # table 2 at smoke keeps 0.02 GB; larger runs ask for their own room
TRIED = "rigl"  # the method whose golden numbers are computed again
NOX = "let nox make the environment: nox -s tests"
AGAIN = "delete this environment, in the image take a new one"
UNDO = "git checkout requirements; to pin anew: nox -s lock"
BUILT = ("python", "ffcv", "lock")  # what an image is made of: neither git nor nox nor apt is there
ANEW = "start a new container of the image; where that has the problem too, build it anew"


@dataclass(frozen=True)
class Finding:
    """One line: ``problem`` is None where nothing is wrong, ``to_do`` what ends it."""

    name: str
    value: str
    problem: str | None = None
    to_do: str = ""

    @property
    def sentence(self) -> str:
        """Problem and cure."""
        return f"{self.name}: {self.problem}; to do: {self.to_do}"


def python() -> Finding:
    """The version; the locks are of 3.11."""
    version = platform.python_version()
    wrong = None if sys.version_info[:2] == (3, 11) else f"Python {version}; valid: 3.11"
    return Finding("python", version, wrong, NOX)


def image() -> Finding:
    """Whether this is the image, and which."""
    said = of_image()
    if not said:
        return Finding("image", "none: this is not inside it")
    return Finding("image", ", ".join(f"{key} {value}" for key, value in said.items()))


def driver_found() -> Finding:
    """The driver's version and the CUDA that it runs, held against torch's."""
    kernel, has, built = driver.kernel_driver(), driver.driver_cuda(), torch.version.cuda
    if kernel is None and has is None:
        return Finding("driver", "none")
    if has is None:
        wrong = f"the kernel has an NVIDIA driver, {kernel}, but {driver.LIBRARY} does not load"
        cure = "in a container: docker run --gpus all, apptainer run --nv; else install it anew"
        return Finding("driver", f"{kernel}, without its library", wrong, cure)
    value = f"{kernel or 'of unknown version'}, CUDA {has[0]}.{has[1]}"
    needed = int(built.split(".")[0]) if built else 0
    if has[0] >= needed:
        return Finding("driver", value)
    oldest = driver.OLDEST.get(needed, "a newer branch")
    wrong = f"driver {value} is too old for torch {torch.__version__}, of CUDA {built}"
    cure = f"install driver {oldest} or later"
    if needed > 12 and has[0] == 12:
        cure += ", or requirements/v100.lock (in the image: LOCK=v100), of CUDA 12"
    return Finding("driver", value, wrong, cure)


def gpu() -> Finding:
    """The GPUs that torch sees, and whether it has kernels for them."""
    if torch.cuda.is_available():
        value = f"{torch.cuda.get_device_name()}"
        if (count := torch.cuda.device_count()) > 1:
            value = f"{count} x {value}"
        lacks = gpu_lacks()
        problem, _, cure = lacks[0].rpartition(": ") if lacks else ("", "", "")
        return Finding("gpu", value, problem or None, cure)
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        return Finding("gpu", f"none with CUDA_VISIBLE_DEVICES={hidden!r}")
    if driver.driver_cuda() is None or driver_found().problem:
        return Finding("gpu", "none")
    wrong = "the driver is here and new enough, but torch sees no GPU"
    return Finding("gpu", "none", wrong, "see what nvidia-smi says; in a container pass the GPUs")


def ffcv_found() -> Finding:
    """Whether FFCV is installed and loads; that it is not is a problem where it is asked for."""
    asked = os.environ.get("RESPARSE_LOADER") == "ffcv"
    there = "ffcv" in locks.installed()
    if not there and not asked:
        return Finding("ffcv", "not installed (needed for RESPARSE_LOADER=ffcv alone)")
    try:
        require_ffcv()
    except Missing as error:
        cure = INSTALL if there else "RESPARSE_LOADER=ffcv nox -s tests makes its environment"
        value = "installed, but it does not load" if there else "not installed"
        return Finding("ffcv", value, str(error).removesuffix(f": {INSTALL}"), cure)
    return Finding("ffcv", locks.installed().get("ffcv", "loads"))


def disk(runs: Path | None = None) -> Finding:
    """Whether runs can be written (to ``runs``: default as all commands), and the room for them."""
    runs = runs or (ROOT / "runs" if (ROOT / "runs").is_dir() else ROOT)
    there = next(folder for folder in (runs, *runs.absolute().parents) if folder.is_dir())
    value = f"{shutil.disk_usage(there).free / 1e9:.1f} GB free in {runs}"
    try:
        require_writable(there, ROOM_BYTES)
    except Missing as error:
        cure = "free some, or give --runs DIR, also to doctor, and --out DIR"
        return Finding("disk", value, str(error), cure)
    return Finding("disk", value)


def datasets() -> Finding:
    """What is prepared below the data root."""
    try:
        root = data_folder(None)
    except ResparseError as error:
        return Finding("data", "none", str(error), "set RESPARSE_DATA to it, or unset it")
    if root is None:
        return Finding("data", "digits; RESPARSE_DATA is not set")
    names = (*data.PREPARED, "imagenet")
    here = [name for name in names if data.missing(name, root) is None]
    return Finding("data", f"{', '.join(['digits', *here])} in {root}")


def lock() -> Finding:
    """Whether the environment is as its lock says, and the lock what the environment came from."""
    if not (ROOT / locks.FOLDER).is_dir():
        return Finding("lock", f"unknown: {ROOT} is no checkout")
    here, name = locks.installed(), ""
    try:
        said = locks.made_from(ROOT, Path(sys.prefix))
        name = said or locks.closest(ROOT, here.get("torch", ""))
        wanted = locks.asked(ROOT, name, ffcv="ffcv" in here)
    except ResparseError as error:
        what = f"{name}.lock" if name else f"{locks.FOLDER}/"
        return Finding("lock", f"{what}, edited by hand", str(error), UNDO)
    lines = locks.drift(wanted, here)
    listed = "; ".join(lines[:5]) + (f" and {len(lines) - 5} more" if len(lines) > 5 else "")
    if said == "":
        wrong = f"{sys.prefix} was made from another requirements/{name}.lock or build.lock"
        wrong += f" ({listed})" if lines else ""
        return Finding("lock", f"{name}.lock, changed since", wrong, f"{UNDO}; then {NOX}")
    if lines:
        value = f"{name}.lock, {len(lines)} packages drifted"
        return Finding("lock", value, f"not as locked: {listed}", f"{AGAIN}; then {NOX}")
    unsaid = "" if said else "; made by neither nox nor the image"
    return Finding("lock", f"{name}.lock, {len(wanted)} packages as locked{unsaid}")


def determinism() -> Finding:
    """Whether 50 steps of a method have the same bits here as in baselines/frozen/golden.json."""
    try:
        known = golden.stored(str(torch.__version__))
    except Missing:
        return Finding("determinism", f"not tried: no golden numbers of torch {torch.__version__}")
    made, failed = golden.traces(1, [TRIED])
    wrong = [f"{TRIED} on {workload} failed: {why}" for (workload, _), why in failed.items()]
    for workload, traces in made.items():
        if TRIED not in traces:
            continue
        said = golden.compared(traces, {TRIED: known[workload][TRIED]})[TRIED]
        wrong += [f"{TRIED} on {workload} {said}"] if said != "equal" else []
    if wrong:
        cure = "nox -s regression -- --golden compares all methods; numbers of here are others"
        return Finding("determinism", "other bits than frozen", "; ".join(wrong), cure)
    return Finding("determinism", f"bitwise: {golden.STEPS} steps of {TRIED} as frozen, on the CPU")


def torch_found() -> Finding:
    """The version that is imported."""
    return Finding("torch", str(torch.__version__))


def cuda() -> Finding:
    """The CUDA that torch was built with."""
    return Finding("cuda", torch.version.cuda or "none: torch was built without")


def cpu() -> Finding:
    """The vector instructions that torch uses outside portable numerics."""
    return Finding("cpu", torch.backends.cpu.get_cpu_capability())


LOOKS: tuple[Callable[..., Finding], ...] = (
    *(python, torch_found, cuda, driver_found, gpu, cpu, ffcv_found, disk, datasets, lock, image),
    determinism,
)


def findings(runs: Path | None = None) -> list[Finding]:
    """All of them, in the order in which they are printed."""
    with warnings.catch_warnings():  # torch's own of an old driver: `driver` says it
        warnings.simplefilter("ignore", UserWarning)
        found = [look(runs) if look is disk else look() for look in LOOKS]
    built = {f.name for f in found if f.problem and f.name in BUILT and of_image()}
    return [replace(f, to_do=ANEW) if f.name in built else f for f in found]


def doctor(*, as_json: bool, runs: Path | None = None) -> int:
    """Print the findings; 4 where anything is wrong, each problem with what to do, else 0."""
    found = findings(runs)
    wrong = [finding.sentence for finding in found if finding.problem is not None]
    if as_json:
        print(json.dumps({f.name: f.value for f in found} | {"problems": wrong}, indent=1))
    else:
        for finding in found:
            print(f"{finding.name}: {finding.value}")
        for sentence in wrong:
            print(f"problem: {sentence}")
        print(f"{len(wrong)} problem{'s' * (len(wrong) > 1)}" if wrong else "no problem")
    return 4 if wrong else 0
