"""A full disk: one sentence that says what to do, nothing committed is lost, and it continues."""

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import make_run

from resparse import worker
from resparse.errors import Missing
from resparse.how import How
from resparse.record import RunStore

pytestmark = pytest.mark.fault
RUN = make_run("set", 10, snapshots=(4,))
FACTS = {"git_sha": "", "git_dirty": False}
PAGE = 4096


def trained(store, run=RUN, how=How(), **options):  # noqa: B008 (frozen)
    given = {"data_root": None, "how": how, "provenance": FACTS, "code": worker.code_of(run)}
    record = worker.train_and_commit(run, store, **given, checkpoint_steps=2, **options)
    files = (store.folder(run).path / name for name in ("final.safetensors",))
    return record.status, record.outcome, record.curves, [f.read_bytes() for f in files]


@pytest.fixture(scope="module")
def neighbour(tmp_path_factory):
    """A store in which another run is committed, and what RUN ends with in a sound one."""
    root = tmp_path_factory.mktemp("neighbour")
    store, other = RunStore(root / "runs"), make_run("static", 4)
    trained(store, other)
    return store, other, trained(RunStore(root / "sound"))


@pytest.fixture
def store(neighbour, tmp_path):
    return RunStore(shutil.copytree(neighbour[0].root, tmp_path / "runs"))


def require_lost(store, neighbour, name, **options):
    """Training stops where ``name`` is written, in one sentence; what is committed is whole.

    Returns the name of the file at which it did.
    """
    with pytest.raises(Missing) as found:
        trained(store, **options)
    said = str(found.value)
    assert said.startswith("disk full while writing ")
    assert said.endswith(": free some space and repeat")
    assert name in said
    assert found.value.exit_code == 4
    store.folder(neighbour[1]).verify()
    assert not store.folder(RUN).committed
    return Path(said.removesuffix(": free some space and repeat")).name


def require_continues(store, neighbour, **options):
    assert trained(store, **options) == neighbour[2]
    store.folder(RUN).verify()
    store.folder(neighbour[1]).verify()
    assert not [p for p in store.folder(RUN).path.rglob("*") if p.name.endswith(".tmp")]


WRITTEN = ("manifest.json", "tensors.safetensors", "state.json", "state.sha256", "snapshot-4.safe",
           "final.safetensors", "record.json", "COMMITTED")  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_at_any_file(name, store, neighbour):
    """Injected where it is flushed, as file systems that allocate late say it."""
    real = os.fsync

    def full(handle):
        if f".{name}" in str(Path(f"/proc/self/fd/{handle}").readlink()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", full)
        require_lost(store, neighbour, name)
    assert not list(store.folder(RUN).path.glob(".checkpoint-*"))  # half of one takes space
    require_continues(store, neighbour)


@pytest.mark.parametrize("step", [0, 3, 10])
def test_at_the_log(step, store, neighbour):
    """Before the first event, between two checkpoints, at the last."""
    log = store.folder(RUN).path / "events.jsonl"
    log.parent.mkdir()

    def fill(done):
        if done == step:
            if log.exists():
                log.rename(log.with_name("kept"))
            log.symlink_to("/dev/full")

    if step == 0:
        fill(0)
    require_lost(store, neighbour, "events.jsonl", tell=fill)
    log.unlink()
    if step:
        log.with_name("kept").rename(log)
    require_continues(store, neighbour)
    assert len(list(log.open())) >= 7


def test_at_the_heartbeat_it_goes_on(store, neighbour):
    """progress.json is a courtesy: see Heartbeat."""
    path = store.folder(RUN).path

    def fill(done):
        if done == 0:
            (path / f".progress.json.{os.getpid()}.tmp").symlink_to("/dev/full")

    require_continues(store, neighbour, tell=fill)


@pytest.fixture
def small_disk(tmp_path):
    """A function from a folder and its pages to a really small disk there."""
    mounted = []

    def mount(at, pages):
        at.mkdir(parents=True)
        size = f"size={pages * PAGE}"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", size, "resparse-test", at],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            pytest.skip(f"needs the right to mount a small disk: {done.stderr.strip()}")
        mounted.append(at)
        return at

    yield mount
    for at in mounted:
        subprocess.run(["umount", at], check=True)


def fill(disk, left):
    """Take all of a disk but ``left`` pages."""
    ballast, free = disk / "ballast", shutil.disk_usage(disk).free
    ballast.write_bytes(bytes(free - left * PAGE))
    return ballast


@pytest.mark.long
def test_a_really_full_one(small_disk, neighbour, tmp_path):
    """However many pages are free, from none to enough."""
    ended = set()
    for left in (0, 1, 2, 3, 24, 45, 70, 90):
        disk = small_disk(tmp_path / f"{left}", 256)
        store = RunStore(Path(shutil.copytree(neighbour[0].root, disk / "runs")))
        ballast = fill(disk, left)
        if left < 90:
            ended.add(require_lost(store, neighbour, f"{store.folder(RUN).path}/"))
            ballast.unlink()
        require_continues(store, neighbour)
    assert ended >= {"lock", "events.jsonl", "tensors.safetensors"}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_at_the_event_files_of_tensorboard(small_disk, store, neighbour):
    """They promise every step: see Board."""
    disk = small_disk(store.folder(RUN).path / "tensorboard", 2)
    ballast, how = fill(disk, 0), How(tensorboard=True)
    require_lost(store, neighbour, "tensorboard", how=how)
    ballast.unlink()
    require_continues(store, neighbour, how=how)
