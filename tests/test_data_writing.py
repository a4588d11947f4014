"""While a dataset is written: full disks, places that take nothing, two at once, a kill."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from small_data import cifar_spec, folder, root, write_files

from resparse.data import manifest, places, prepare
from resparse.errors import Missing, UsageError

__all__ = ["folder", "root"]  # fixtures for this file as well


def test_a_full_disk_is_named_and_leaves_the_old_dataset(root, folder, monkeypatch):
    spec = cifar_spec(root)
    prepare.prepare(spec, root, folder)
    (folder / "manifest.json").write_text("{}")  # so that it is made again
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Missing, match=r"disk full while writing .*safetensors: free some space"):
        prepare.prepare(spec, root, folder)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert sorted(p.name for p in folder.parent.iterdir()) == [".cifar10.lock", "cifar10"]


def test_too_little_space_is_said_before_anything_is_read(root, folder, monkeypatch):
    spec = cifar_spec(root)
    usage = shutil.disk_usage(root)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10**4))
    (root / "cifar-10-python.tar.gz").unlink()
    with pytest.raises(Missing, match=r"0.00 GB free, 0.00 GB needed: give --prepared DIR or set"):
        prepare.prepare(spec, root, folder)


def test_a_place_that_cannot_be_written_is_named(root):
    pattern = r"/proc/none cannot be written: .*: give --prepared DIR or set RESPARSE_PREPARED$"
    with pytest.raises(Missing, match=pattern):
        prepare.prepare(cifar_spec(root), root, Path("/proc/none/cifar10"))


def test_without_a_root_nothing_can_be_prepared(folder, root):
    with pytest.raises(Missing, match=r"no data root: give --data-root DIR or set RESPARSE_DATA"):
        prepare.prepare(cifar_spec(root), None, folder)


def test_two_at_once_are_refused(root, folder):
    with (
        places.replacing(folder, 0),
        pytest.raises(Missing, match=r"cifar10 is being prepared by another process: wait or stop"),
    ):
        prepare.prepare(cifar_spec(root), root, folder)


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from small_data import cifar_spec
from resparse.data import prepare, tensors
root, folder = Path(sys.argv[2]), Path(sys.argv[3])
spec, parts = cifar_spec(root), tensors._parts
def slow(*given):
    for number, part in enumerate(parts(*given)):
        yield part
        if number == 5:
            print("half", flush=True)
            sys.stdin.read()
tensors._parts = slow
prepare.prepare(spec, root, folder)
"""


def test_a_killed_prepare_leaves_nothing_in_use_and_starts_over(root, folder):
    given = [str(Path(__file__).parent), str(root), str(folder)]
    command = [sys.executable, "-c", KILLED, *given]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGKILL)
    assert not folder.exists()
    left = folder.with_name(".cifar10.tmp")
    assert [p.name for p in left.iterdir()] == ["train.safetensors"]
    spec = cifar_spec(root)
    with pytest.raises(Missing, match="cifar10 is not prepared"):
        prepare.verify(spec, folder)
    prepare.prepare(spec, root, folder)
    assert prepare.verify(spec, folder).schema_ == manifest.SCHEMA
    assert not left.exists()


def beside(folder, kind):
    return folder.with_name(f".{folder.name}.{kind}")


def test_what_a_killed_prepare_left_is_deleted(root, folder):
    spec = cifar_spec(root)
    prepare.prepare(spec, root, folder)
    for kind in ("tmp", "old"):
        beside(folder, kind).mkdir()
        (beside(folder, kind) / "half").write_bytes(b"x")
    (folder / "manifest.json").unlink()
    prepare.prepare(spec, root, folder)
    assert prepare.verify(spec, folder)
    assert sorted(p.name for p in folder.parent.iterdir()) == [".cifar10.lock", "cifar10"]


def between_the_renames(folder):
    """As a kill leaves it: the old dataset put aside, the new one complete, none in place."""
    folder.rename(beside(folder, "old"))
    shutil.copytree(beside(folder, "old"), beside(folder, "tmp"))


def test_killed_between_the_renames_the_next_prepare_makes_it_again(root, folder):
    spec = cifar_spec(root)
    prepare.prepare(spec, root, folder)
    between_the_renames(folder)
    with pytest.raises(Missing, match="cifar10 is not prepared"):
        prepare.verify(spec, folder)
    _, why = prepare.prepare(spec, root, folder)
    assert "is not prepared" in why
    assert prepare.verify(spec, folder)
    assert sorted(p.name for p in folder.parent.iterdir()) == [".cifar10.lock", "cifar10"]


def test_killed_between_the_renames_the_old_dataset_is_not_lost_without_its_source(root, folder):
    spec = cifar_spec(root)
    prepare.prepare(spec, root, folder)
    (root / "cifar-10-python.tar.gz").unlink()
    between_the_renames(folder)
    with pytest.raises(Missing, match="cannot be downloaded"):
        prepare.prepare(spec, root, folder)
    assert prepare.verify(spec, folder)
    assert sorted(p.name for p in folder.parent.iterdir()) == [".cifar10.lock", "cifar10"]


def test_an_error_between_the_renames_leaves_the_old_dataset(root, folder, monkeypatch):
    spec, rename = cifar_spec(root), Path.rename
    prepare.prepare(spec, root, folder)
    (folder / "manifest.json").write_text("{}")
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    def fails(path, target):
        if path.name.endswith(".tmp"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(Missing, match="cifar10: Input/output error"):
        prepare.prepare(spec, root, folder)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert sorted(p.name for p in folder.parent.iterdir()) == [".cifar10.lock", "cifar10"]


@pytest.mark.parametrize("name", ["notes.txt", "train/n00000001/x.JPEG", ".git/config"])
def test_a_folder_of_other_things_is_not_replaced(root, folder, name):
    """As where --prepared is the data root, and holds the source under the dataset's name."""
    write_files(folder, {name: b"mine", "manifest.json": b"{}"})
    pattern = rf"would take the place of {folder / Path(name).parts[0]}, which is none of them; va"
    with pytest.raises(UsageError, match=pattern):
        prepare.prepare(cifar_spec(root), root, folder)
    assert (folder / name).read_bytes() == b"mine"


def test_a_file_in_the_folders_place_is_not_replaced(root, folder):
    folder.parent.mkdir()
    folder.write_bytes(b"mine")
    with pytest.raises(UsageError, match=rf"would take the place of {folder}, which is none of th"):
        prepare.prepare(cifar_spec(root), root, folder)
    assert folder.read_bytes() == b"mine"


@pytest.mark.parametrize("broken", [False, True])
def test_a_link_to_another_disk_stays_one(root, folder, tmp_path, broken):
    spec, other = cifar_spec(root), tmp_path / "other disk" / "cifar10"
    folder.parent.mkdir()
    other.parent.mkdir()
    folder.symlink_to(other)
    if broken:
        other.mkdir()
        (other / "manifest.json").write_text("{}")
    prepare.prepare(spec, root, folder)
    assert prepare.verify(spec, folder)
    assert folder.is_symlink()
    assert (other / "manifest.json").is_file()


def test_a_lock_that_cannot_be_taken_is_named(root, folder):
    (folder.parent / ".cifar10.lock").mkdir(parents=True)
    with pytest.raises(Missing, match=r"cannot write .*\.cifar10\.lock: Is a directory"):
        prepare.prepare(cifar_spec(root), root, folder)
