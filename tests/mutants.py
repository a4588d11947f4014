"""Whether the tests see the faults of mutants*.toml: one at a time, each in a copy of its own.

``python tests/mutants.py [ID ...]``. This process imports the libraries but nothing of resparse;
every fault is a fork of it, which imports its own copy and runs the listed tests until one fails.
"""

import gc
import importlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
TABLES = sorted(Path(__file__).parent.glob("mutants*.toml"))
PARTS = ("resparse", "methods", "tests", "benchmarks", "baselines", "requirements")
PARTS += ("reports/itop/records",)
PORTABLE = {  # resparse.precision.PORTABLE_ENV: torch reads it once, when it is imported here
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "default",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
LIBRARIES = (
    *("torch", "torchvision", "fvcore.nn", "safetensors.torch", "numpy", "pandas", "pydantic"),
    *("rich", "scipy.stats", "sklearn.datasets", "statsmodels.stats.multitest", "pytest"),
)
QUICK = ("--assert=plain", "-p", "no:unraisableexception")  # one fault takes a second, not two
AT_ONCE = 2


class Fault(NamedTuple):
    """One small change of one file."""

    id: str
    file: str
    find: str  # occurs exactly once
    replace: str
    why: str  # who makes this mistake, or what it is
    first: str = ""  # the test file that is tried before all others

    def changed(self, root: Path) -> str:
        """The file's text with the fault; ValueError where ``find`` is not there exactly once."""
        text = (root / self.file).read_text()
        times = text.count(self.find)
        if times != 1:
            raise ValueError(
                f"fault {self.id}: {self.find!r} occurs {times} times in {self.file}; valid: once"
            )
        return text.replace(self.find, self.replace)


class Table(NamedTuple):
    """What one mutants*.toml holds: the faults of some modules and the tests that know them."""

    file: Path
    faults: list[Fault]
    tests: list[str]  # files, in the order in which they are tried
    first: dict[str, list[str]]  # file with a fault -> the tests that are tried before the others
    without: str  # what -k leaves out
    limit_s: float


def read(file: Path) -> Table:
    """One of TABLES."""
    data = tomllib.loads(file.read_text())
    return Table(file, [Fault(**fault) for fault in data.pop("fault")], **data)


class Job(NamedTuple):
    """One run of tests in a folder; without a fault the tests have to pass."""

    name: str
    table: Table
    fault: Fault | None
    tests: list[str]


class Ended(NamedTuple):
    """What a run of tests came to."""

    job: Job
    code: int | None  # pytest's; None: it ran into the time limit
    test: str  # the first that failed
    seconds: float
    log: str


def jobs(tables: list[Table], ids: list[str]) -> list[Job]:
    """The faults to try; test files that may show one early come first, all others follow."""
    unknown = set(ids) - {fault.id for table in tables for fault in table.faults}
    if unknown:
        raise ValueError(
            f"no fault {', '.join(sorted(unknown))}; tests/mutants*.toml name them all"
        )
    found = []
    for table in tables:
        for fault in table.faults:
            early = [fault.first] * bool(fault.first) + table.first.get(fault.file, [])
            if not ids or fault.id in ids:
                tests = list(dict.fromkeys((*early, *table.tests)))
                found.append(Job(fault.id, table, fault, tests))
    return found


def unmutated(work: list[Job]) -> list[Job]:
    """All tests of the tables that ``work`` is from, without a fault, in two parts each."""
    tables = list({job.table.file: job.table for job in work}.values())
    return [
        Job(f"{table.file.stem}-{part}", table, None, table.tests[part::AT_ONCE])
        for table in tables
        for part in range(AT_ONCE)
    ]


class FirstFailure:
    """A pytest plugin that keeps the name of the first failure."""

    name = ""

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and not self.name:
            self.name = f"{report.nodeid} (import)"

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.name:
            self.name = report.nodeid


def run_tests(folder: Path, tests: list[str], without: str) -> None:
    """In a process of its own: pytest on the copy in ``folder``; writes ended.json beside it."""
    os.setsid()
    log = os.open(folder.with_suffix(".log"), os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(folder)
    ours = [ROOT, ROOT / "tests"]
    sys.path[:] = [str(folder), *(p for p in sys.path if Path(p or ".").resolve() not in ours)]
    os.environ["PYTHONPATH"] = str(folder)
    pytest, first = importlib.import_module("pytest"), FirstFailure()
    code = 0
    for test in tests:  # those after the first that fails need not even be imported
        code = int(pytest.main([*QUICK, "-x", "-k", f"not ({without})", test], plugins=[first]))
        if code:
            break
    loaded = Path(sys.modules["resparse"].__file__ or "").parent
    if loaded != folder / "resparse":
        raise RuntimeError(f"the tests ran {loaded}, not the copy")
    text = json.dumps({"code": code, "test": first.name})
    folder.with_suffix(".json").write_text(text)
    sys.stdout.flush()


def start(job: Job, base: Path, folder: Path) -> BaseProcess:
    """Make the copy, put the fault in, fork."""
    shutil.copytree(base, folder)
    if job.fault is not None:
        file = folder / job.fault.file
        for stale in file.parent.glob(f"__pycache__/{file.stem}.*"):
            stale.unlink()
        file.write_text(job.fault.changed(base))
    fork = multiprocessing.get_context("fork")
    process = fork.Process(target=run_tests, args=(folder, job.tests, job.table.without))
    process.start()
    return process


def end(job: Job, process: BaseProcess, folder: Path, since: float, late: bool) -> Ended:
    """Read what a process left; a late one is killed with all it started."""
    seconds = time.monotonic() - since
    if late:
        assert process.pid is not None  # its own process group: run_tests
        os.killpg(process.pid, signal.SIGKILL)
    process.join()
    log = folder.with_suffix(".log").read_text(errors="replace")
    if late:
        return Ended(job, None, "", seconds, log)
    found = folder.with_suffix(".json")
    if not found.is_file():
        raise RuntimeError(f"{job.name}: the test process ended without a result\n{log[-2000:]}")
    shutil.rmtree(folder)
    return Ended(job, **json.loads(found.read_text()), seconds=seconds, log=log)


def run(work: Iterable[Job], base: Path) -> Iterator[Ended]:
    """The jobs' ends as they come, two jobs at a time."""
    waiting, running = list(work)[::-1], {}
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            job = waiting.pop()
            folder = base.parent / job.name
            process = start(job, base, folder)
            running[process.sentinel] = (job, process, folder, time.monotonic())
        due = {s: since + job.table.limit_s for s, (job, *_, since) in running.items()}
        first = min(due.values())
        ready = wait(list(running), timeout=max(0.0, first - time.monotonic()))
        late = [] if ready else [s for s, until in due.items() if until == first]
        for sentinel in (*ready, *late):
            yield end(*running.pop(sentinel), late=sentinel in late)


def verdict(ended: Ended) -> str:
    """The test that saw the fault; "" where none did."""
    if ended.code in (1, 2) and ended.test:
        return ended.test
    if ended.code in (0, None):
        return ""
    raise RuntimeError(f"{ended.job.name}: pytest ended with {ended.code}\n{ended.log[-2000:]}")


def main(ids: list[str]) -> int:
    """Try the faults; 1 if one is missed."""
    began = time.monotonic()
    work = jobs([read(file) for file in TABLES], ids)
    for job in work:
        assert job.fault is not None
        job.fault.changed(ROOT)  # all are there before the first is tried
    os.environ.update(PORTABLE, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.freeze()  # the forks' collector passes over all of this
    missed = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        base = Path(scratch) / "base"
        for part in PARTS:
            shutil.copytree(ROOT / part, base / part, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "noxfile.py", ".gitignore"):
            shutil.copy(ROOT / name, base)
        for ended in run(unmutated(work), base):
            if ended.code != 0:
                sys.exit(f"the tests fail without a fault: {ended.test}\n{ended.log[-4000:]}")
        print(f"unmutated: all pass, {time.monotonic() - began:.0f} s", flush=True)
        for ended in run(work, base):
            fault, seen = ended.job.fault, verdict(ended)
            assert fault is not None
            how = seen or (
                "MISSED" if ended.code == 0 else f"MISSED: over {ended.job.table.limit_s:.0f} s"
            )
            missed += [] if seen else [fault.id]
            print(f"{fault.id:34} {fault.file:28} {ended.seconds:5.1f}  {how}", flush=True)
    for name in missed:
        print(f"missed: {name}")
    took, n = time.monotonic() - began, len(work)
    print(f"{n} faults, {n - len(missed)} caught, {len(missed)} missed in {took:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
