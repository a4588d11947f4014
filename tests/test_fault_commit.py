"""kill -9 inside a commit, and what is found when a run is begun again."""

import json
import shutil
import signal

import pytest
from killing import at_operation, die, events, forked
from test_checkpoint import DAMAGE
from test_fault_disk import RUN, neighbour, trained  # noqa: F401 (a fixture)

from resparse.errors import Requeue
from resparse.record import RunFolder, RunStore

pytestmark = pytest.mark.fault
MARKED = 5  # operations of a commit before the marker has its name: two files, three for each


@pytest.fixture(scope="module")
def base(neighbour, tmp_path_factory):  # noqa: F811
    """Beside a committed run, one that was stopped at step 8 of 10."""
    root = shutil.copytree(neighbour[0].root, tmp_path_factory.mktemp("base") / "runs")
    with pytest.raises(Requeue):
        trained(RunStore(root), stop_after=8)
    return root


@pytest.fixture
def store(base, tmp_path):
    return RunStore(shutil.copytree(base, tmp_path / "runs"))


@pytest.mark.parametrize("number", range(9))
def test_inside_a_commit(number, store, neighbour):  # noqa: F811
    """Before each thing the disk is told: all is done again, or the run is committed."""
    real = RunFolder.commit

    def commit(folder, *given):
        at_operation(number, lambda *_: die())
        real(folder, *given)

    def work():
        RunFolder.commit = commit
        trained(store)

    assert forked(work) == -signal.SIGKILL
    folder = store.folder(RUN)
    assert folder.committed == (number >= MARKED)
    if folder.committed:
        folder.verify()
    store.folder(neighbour[1]).verify()
    assert trained(store) == neighbour[2]
    folder.verify()
    resumed = [e["step"] for e in events(folder.path) if e["event"] == "resumed"]
    assert resumed == ([8] if folder.committed and number >= MARKED else [8, 10])


def test_what_killed_processes_left_half_written_goes(store, neighbour):  # noqa: F811
    """Else each kill would cost its space for good."""
    path = store.folder(RUN).path
    (path / ".checkpoint-000000009.tmp").mkdir()
    for name in (".checkpoint-000000009.tmp/state.json", ".final.safetensors.77.tmp"):
        (path / name).write_bytes(b"half")
    seen = []
    look = {"tell": lambda step: seen.extend(path.glob(".*.tmp"))}
    assert trained(store, **look) == neighbour[2]
    assert seen == []
    assert not list(path.glob(".*.tmp"))


def other_code(path):
    value = json.loads(path.read_text())
    path.write_text(json.dumps(value | {"code": value["code"][::-1]}))


@pytest.mark.parametrize(
    "damage",
    [*(DAMAGE[name] for name in ("empty", "zeros", "missing")), other_code],
    ids=["empty", "zeros", "missing", "other code"],
)
def test_a_damaged_manifest(damage, store, neighbour):  # noqa: F811
    """Nobody knows whose code made the checkpoints: kept, not continued, and it is said."""
    path = store.folder(RUN).path
    damage(path / "manifest.json")
    kept = {p.name for p in path.glob("checkpoint-*")}
    assert trained(store) == neighbour[2]
    assert {p.name[: len("checkpoint-000000008")] for p in path.glob("stale-*/*")} == kept
    said = [e["event"] for e in events(path)]
    assert said.count("checkpoint of other code set aside") == len(kept) == 2
    assert "resumed" not in said
