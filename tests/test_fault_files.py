"""A checkpoint that is damaged, of another run, or a trap is passed over aloud, never used."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from conftest import make_run, train_to
from killing import events, require_same, whole
from test_checkpoint import DAMAGE, FILES

from resparse.beginning import parent_of
from resparse.checkpoint import load_tensors, save_tensors
from resparse.errors import Requeue, RunFailed
from resparse.files import file_sha256, write_atomic, write_json
from resparse.record import Record, RunStore

pytestmark = pytest.mark.fault
RUN = make_run("snfs", 16)
NEW, OLD = "checkpoint-000000012", "checkpoint-000000010"


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run with checkpoints at 10 and 12, and what it ends with if nothing happens."""
    root = tmp_path_factory.mktemp("stopped")
    with pytest.raises(Requeue):
        train_to(root / "run", RUN, checkpoint_steps=5, stop_after=12)
    return root / "run", whole(root / "whole", RUN)


@pytest.fixture
def path(stopped, tmp_path):
    return shutil.copytree(stopped[0], tmp_path / "run")


def require_passed_over(path, stopped, names, said, step):
    """The run ends as if nothing had happened, from ``step`` on; each event is one sentence."""
    require_same(whole(path, RUN), stopped[1])
    found = [e["what"] for e in events(path) if e["event"] == "checkpoint passed over"]
    assert [what.partition(": ")[0] for what in found] == names
    assert all(said in what and "\n" not in what for what in found), found
    assert [e["step"] for e in events(path) if e["event"] == "resumed"] == [step] * (step > 0)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file(damage, name, path, stopped):
    DAMAGE[damage](path / NEW / name)
    said = name if name != "state.sha256" or damage == "missing" else "state.json does not match"
    require_passed_over(path, stopped, [NEW], said, 10)


def test_both_damaged(path, stopped):
    DAMAGE["zeros"](path / NEW / "tensors.safetensors")
    DAMAGE["zeros"](path / OLD / "state.json")
    require_passed_over(path, stopped, [NEW, OLD], "does not match its hash", 0)


def test_a_damaged_one_does_not_push_out_a_sound_one(path, stopped):
    """Checkpoints of steps before it are kept two at a time, until it is written anew."""
    DAMAGE["empty"](path / NEW / "tensors.safetensors")
    with pytest.raises(Requeue):
        train_to(path, RUN, stop_after=11)
    assert sorted(p.name for p in path.glob("checkpoint-*")) == [OLD, "checkpoint-000000011", NEW]
    DAMAGE["empty"](path / "checkpoint-000000011" / "tensors.safetensors")
    names = [NEW, NEW, "checkpoint-000000011"]
    require_same(whole(path, RUN), stopped[1])
    found = [e["what"] for e in events(path) if e["event"] == "checkpoint passed over"]
    assert [what.partition(": ")[0] for what in found] == names


def test_one_of_another_run(path, stopped, tmp_path):
    other = make_run("snfs", 16, seed=1)
    with pytest.raises(Requeue):
        train_to(tmp_path / "other", other, stop_after=13)
    name = "checkpoint-000000013"
    shutil.copytree(tmp_path / "other" / name, path / name)
    said = f"{name}: it is of run {other.key}, not of {RUN.key}"
    require_passed_over(path, stopped, [name], said, 12)


def test_one_of_another_step(path, stopped):
    shutil.move(path / OLD, path / "checkpoint-000000014")
    said = f"checkpoint-000000014: it is {OLD} under another name"
    require_passed_over(path, stopped, ["checkpoint-000000014"], said, 12)


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return Path.touch, (self.canary,)


@pytest.fixture(params=["pickle", "torch"])
def trap(request, tmp_path):
    """(a file that springs when it is unpickled, whether it did), tried first."""
    canary, file = tmp_path / "canary", tmp_path / "trap"
    if request.param == "pickle":
        file.write_bytes(pickle.dumps(Trap(canary)))
        pickle.loads(file.read_bytes())
    else:
        torch.save({"weight": Trap(canary)}, file)
        torch.load(file, weights_only=False)
    assert canary.exists()
    canary.unlink()
    return file, canary.exists


def rehash(path):
    """Make the hashes of a checkpoint those of its files, as whoever planted one would."""
    try:
        meta = json.loads((path / "state.json").read_bytes())
        meta["tensors_sha256"] = file_sha256(path / "tensors.safetensors")
        write_json(path / "state.json", meta)
    except ValueError:
        pass  # it is the trap
    write_atomic(path / "state.sha256", file_sha256(path / "state.json"))


@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json"])
def test_a_pickle_with_matching_hashes(name, path, stopped, trap):
    file, sprung = trap
    shutil.copy(file, path / NEW / name)
    rehash(path / NEW)
    said = "is no safetensors file" if name == "tensors.safetensors" else "state.json is no JSON"
    require_passed_over(path, stopped, [NEW], said, 10)
    assert not sprung()


def test_a_pickle_in_a_methods_state_is_bytes(path, stopped, trap):
    file, sprung = trap
    place = path / NEW / "tensors.safetensors"
    data = torch.frombuffer(bytearray(file.read_bytes()), dtype=torch.uint8)
    save_tensors(place, load_tensors(place) | {"state/mine": data})
    rehash(path / NEW)
    _, (tensors, _), _ = whole(path, RUN)
    assert torch.equal(tensors["state/mine"], data)
    assert not sprung()


@pytest.mark.parametrize("name", ["final.safetensors", "snapshot-6.safetensors"])
def test_a_pickle_in_what_a_parent_left(name, tmp_path, trap):
    file, sprung = trap
    child, store = make_run("ltr", 8), RunStore(tmp_path / "runs")
    parent = child.parent
    folder = store.folder(parent)
    trained = train_to(folder.path, parent)
    record = Record(
        key=parent.key, config=parent.config, fingerprint="f" * 16, status=trained.status,
        reason="", outcome=trained.outcome, curves=trained.curves, provenance={},
    )  # fmt: skip
    folder.commit(record, trained.files)
    assert parent_of(child, store) is not None
    shutil.copy(file, folder.path / name)
    with pytest.raises(RunFailed, match=rf"{name} is not what was committed"):
        parent_of(child, store)
    with pytest.raises(ValueError, match=rf"^{name} is no safetensors file"):
        load_tensors(folder.path / name)
    assert not sprung()
