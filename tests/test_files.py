"""Files are whole or not there; what cannot be written is said in a sentence."""

import errno
import os
import shutil
from collections import namedtuple

import pytest
import torch

from resparse.checkpoint import save_checkpoint
from resparse.errors import Missing
from resparse.files import require_writable, write_atomic, write_json
from resparse.record import RunFolder


@pytest.mark.fault
@pytest.mark.parametrize("name", ["ENOSPC", "EDQUOT"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(name, tmp_path, monkeypatch):
    def full(handle):
        raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))

    write_atomic(tmp_path / "a.json", "old")
    monkeypatch.setattr(os, "fsync", full)
    for write in (lambda: write_atomic(tmp_path / "a.json", "new"),
                  lambda: write_json(tmp_path / "b.json", {})):  # fmt: skip
        with pytest.raises(Missing, match=r"disk full while writing .*/[ab].json: free some space"):
            write()
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a.json": "old"}


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault
def test_a_folder_that_cannot_be_is_missing(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(Missing, match=rf"output folder {tmp_path}/file/runs cannot be written: "):
        require_writable(tmp_path / "file" / "runs")
    require_writable(tmp_path / "new" / "runs", 4096)
    assert list((tmp_path / "new" / "runs").iterdir()) == []
    usage = namedtuple("usage", "total used free")(10**12, 10**12 - 10**9, 10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    require_writable(tmp_path, 10**9)
    with pytest.raises(Missing, match=r"has 1.00 GB free, 2.50 GB needed"):
        require_writable(tmp_path, 2_500_000_000)


@pytest.mark.fault
def test_writing_below_a_file_is_missing(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Missing, match=r"cannot write .*/a: Not a directory"):
        write_atomic(tmp_path / "file" / "a", "x")


@pytest.mark.fault
def test_a_run_on_a_full_disk_says_so(tmp_path):
    folder = RunFolder(tmp_path)
    (tmp_path / "events.jsonl").symlink_to("/dev/full")  # every write there is ENOSPC
    with pytest.raises(Missing, match=r"disk full while writing .*/events.jsonl: free some space"):
        folder.event(event="started")


@pytest.mark.fault
def test_a_lock_on_a_full_disk_says_so(tmp_path, monkeypatch):
    def full(handle, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = RunFolder(tmp_path / "run")
    monkeypatch.setattr(os, "write", full)
    with (
        pytest.raises(Missing, match=r"disk full while writing .*/run/lock: free some space"),
        folder.lock(),
    ):
        pass


@pytest.mark.fault
def test_a_run_folder_that_cannot_be_is_missing(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(Missing, match=r"cannot write .*/file/run/lock: Not a directory"),
        RunFolder(tmp_path / "file" / "run").lock(),
    ):
        pass
    with pytest.raises(Missing, match=r"cannot write .*checkpoint-000000003.tmp: Not a directory"):
        save_checkpoint(tmp_path / "file", 3, {"a": torch.zeros(1)}, {}, run="a")
