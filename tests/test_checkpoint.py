"""Checkpoints: two are kept, a damaged one is passed over and named, a half one is ignored."""

import json

import pytest
import torch

from resparse.checkpoint import load_checkpoint, save_checkpoint, save_tensors
from resparse.files import sha256

RUN = "0123456789abcdef"


def load(folder):
    """(step, tensors, state, what was passed over), or None."""
    damaged = []
    found = load_checkpoint(folder, RUN, damaged.append)
    return None if found is None else (*found, damaged)


def tensors(step):
    return {"weight": torch.full((3, 2), float(step)), "mask": torch.tensor([True, False])}


@pytest.fixture
def folder(tmp_path):
    """Checkpoints of steps 5 and 10."""
    for step in (5, 10):
        save_checkpoint(
            tmp_path, step, tensors(step), {"step": step, "curve": [0.1, 1 / 3]}, run=RUN
        )
    return tmp_path


def test_the_newest_is_loaded_as_it_was_saved(folder):
    step, loaded, state, damaged = load(folder)
    assert (step, state, damaged) == (10, {"step": 10, "curve": [0.1, 1 / 3]}, [])
    assert loaded.keys() == tensors(10).keys()
    for name, tensor in tensors(10).items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)


def test_the_last_two_are_kept(folder):
    save_checkpoint(folder, 15, tensors(15), {}, run=RUN)
    assert sorted(p.name for p in folder.iterdir()) == [
        "checkpoint-000000010",
        "checkpoint-000000015",
    ]


def test_the_same_step_again_replaces_its_checkpoint(folder):
    save_checkpoint(folder, 10, tensors(99), {"again": True}, run=RUN)
    step, loaded, state, _ = load(folder)
    assert (step, state) == (10, {"again": True})
    assert torch.equal(loaded["weight"], tensors(99)["weight"])
    assert len(list(folder.iterdir())) == 2


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGE = {
    "flipped bit": flip,
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "missing": lambda path: path.unlink(),
}
FILES = ("tensors.safetensors", "state.json", "state.sha256")


@pytest.mark.fault
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_falls_back_and_is_named(damage, name, folder):
    DAMAGE[damage](folder / "checkpoint-000000010" / name)
    step, loaded, state, damaged = load(folder)
    assert (step, state["step"]) == (5, 5)
    assert torch.equal(loaded["weight"], tensors(5)["weight"])
    assert len(damaged) == 1
    assert damaged[0].startswith("checkpoint-000000010: ")
    assert name in damaged[0] or name == "state.sha256"


@pytest.mark.fault
def test_every_byte_of_the_tensors_counts(tmp_path):
    save_checkpoint(tmp_path, 1, tensors(1), {}, run=RUN)
    path = tmp_path / "checkpoint-000000001" / "tensors.safetensors"
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert load(tmp_path) is None, at
    path.write_bytes(whole)
    assert load(tmp_path) is not None


@pytest.mark.fault
def test_state_and_tensors_of_two_checkpoints_do_not_mix(folder):
    old, new = folder / "checkpoint-000000005", folder / "checkpoint-000000010"
    (new / "tensors.safetensors").write_bytes((old / "tensors.safetensors").read_bytes())
    found = load(folder)
    assert found[0] == 5
    assert found[3] == ["checkpoint-000000010: tensors.safetensors does not match its hash"]


@pytest.mark.fault
def test_all_damaged_is_none(folder):
    for path in folder.iterdir():
        flip(path / "tensors.safetensors")
    assert load(folder) is None


def test_none_in_an_empty_folder(tmp_path):
    assert load(tmp_path) is None


@pytest.mark.fault
def test_what_a_kill_left_half_written_is_ignored_and_does_not_stop_the_next_save(folder):
    left = folder / ".checkpoint-000000015.tmp"
    left.mkdir()
    (left / "tensors.safetensors").write_bytes(b"half")
    assert load(folder)[0] == 10
    save_checkpoint(folder, 15, tensors(15), {}, run=RUN)
    assert load(folder)[0] == 15
    assert not left.exists()


@pytest.mark.fault
def test_a_checkpoint_gets_its_name_only_when_complete(folder, monkeypatch):
    import resparse.checkpoint

    def killed(path, data):
        raise KeyboardInterrupt

    monkeypatch.setattr(resparse.checkpoint, "write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(folder, 15, tensors(15), {}, run=RUN)
    assert not (folder / "checkpoint-000000015").exists()
    assert load(folder)[0] == 10


def test_the_hashes_are_of_the_files(folder):
    path = folder / "checkpoint-000000010"
    state = (path / "state.json").read_bytes()
    assert (path / "state.sha256").read_text() == sha256(state)
    digest = json.loads(state)["tensors_sha256"]
    assert digest == sha256((path / "tensors.safetensors").read_bytes())


def test_save_tensors_takes_transposed_and_differentiable_tensors(tmp_path):
    weight = torch.nn.Parameter(torch.arange(6.0).view(2, 3))
    digest = save_tensors(tmp_path / "a", {"w": weight.t()})
    assert digest == save_tensors(tmp_path / "b", {"w": weight.detach().t().contiguous()})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
