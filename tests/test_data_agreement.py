"""Processes that look at a file together: one of each machine does it, all hear what it found."""

import functools
import json
import time

import pytest
from small_betons import raw_beton
from torch import distributed
from torch.multiprocessing import start_processes

from resparse.data import beton
from resparse.data.agreement import agreed
from resparse.data.beton import read_together
from resparse.errors import Corrupt, RunFailed


def process(rank, world, folder, work, machines):
    """One of several: writes how it ended, and which files it hashed."""
    meeting = f"file://{folder}/meeting"
    hashed, real = [], beton.file_sha256
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("LOCAL_RANK", raising=False)
        if machines:
            patch.setenv("LOCAL_RANK", str(rank // machines))
        patch.setattr(beton, "file_sha256", lambda path: hashed.append(path.name) or real(path))
        distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world)
        try:
            said = str(work(rank))
        except (Corrupt, RunFailed) as error:
            said = f"{type(error).__name__}: {error}"
        distributed.destroy_process_group()
    (folder / str(rank)).write_text(json.dumps([said, hashed]))


def together(world, folder, work, machines=1):
    """[what it said, what it hashed] of each process; ``machines`` 0: nobody knows of any."""
    arguments = (world, folder, work, machines)
    start_processes(process, arguments, nprocs=world, start_method="fork")
    return [json.loads((folder / str(rank)).read_text()) for rank in range(world)]


def samples(paths, rank):
    return [len(found.samples) for found in read_together(paths)]


@pytest.fixture
def paths(tmp_path):
    return [raw_beton(tmp_path / f"{name}.beton") for name in "xy"]


@pytest.mark.parametrize(("machines", "hashing"), [(1, [1, 0, 0]), (2, [1, 1, 0]), (0, [1, 1, 1])])
def test_files_are_hashed_once_a_machine(tmp_path, paths, machines, hashing):
    """Three processes of one machine, or two of one and one of another; or each on its own."""
    found = together(3, tmp_path, functools.partial(samples, paths), machines)
    names = ["x.beton", "y.beton"]
    assert found == [["[4, 4]", names * times] for times in hashing]


def test_alone_it_is_hashed_whatever_the_rank_is_called(paths, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    paths[1].open("ab").write(b"\0")
    with pytest.raises(Corrupt, match=r"y.beton has 67,109,201 bytes"):
        read_together(paths)
    with paths[0].open("r+b") as file:
        file.seek(1 << 26)
        file.write(b"\xff")
    with pytest.raises(Corrupt, match=r"x.beton was changed after it was written"):
        read_together(paths)


def test_what_one_process_sees_all_raise(tmp_path, paths):
    with paths[1].open("r+b") as file:
        file.seek(1 << 26)
        file.write(b"\xff")
    found = together(2, tmp_path, functools.partial(samples, paths))
    said = f"Corrupt: {paths[1]} was changed after it was written: sha256 "
    assert [text.startswith(said) for text, _ in found] == [True, True]
    assert [hashed for _, hashed in found] == [["x.beton", "y.beton"], []]


def last_fails(kind, rank):
    def work():
        if rank == 1:
            time.sleep(0.5)
            raise kind("no such luck")
        return rank

    return agreed(work)


@pytest.mark.parametrize(
    ("kind", "said"),
    [(Corrupt, "Corrupt: no such luck"), (OSError, "RunFailed: OSError: no such luck")],
)
def test_an_error_of_any_process_ends_all(tmp_path, kind, said):
    found = together(2, tmp_path, functools.partial(last_fails, kind))
    assert [text for text, _ in found] == [said, said]


def test_alone_there_is_nobody_to_agree_with():
    assert agreed(lambda: 3) == 3
    with pytest.raises(OSError, match="no such luck"):
        last_fails(OSError, 1)
