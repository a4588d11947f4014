"""kill -9 before any step and inside any checkpoint: repeated, every bit is as if uninterrupted."""

import dataclasses
import itertools
import shutil
import signal

import pytest
from conftest import METHODS, STEPS, Watched, make_run, parent_of, train_to
from killing import die, events, forked, in_checkpoint, killed_before, require_same, torn, whole

from resparse.data import folder
from resparse.errors import Requeue
from resparse.record import RunFolder

pytestmark = [pytest.mark.fault, pytest.mark.long]
KILLED = -signal.SIGKILL


def resumed(path):
    return [event["step"] for event in events(path) if event["event"] == "resumed"]


def test_at_every_step(tmp_path):
    """One after the other: with a checkpoint every 4 steps, each kill costs up to 4 again."""
    run = make_run("snfs")  # has masks, moments and a state of its own
    for step in range(STEPS):
        killed_before(step, tmp_path / "killed", run, checkpoint_steps=4)
    again = whole(tmp_path / "killed", run, checkpoint_steps=4)
    assert resumed(tmp_path / "killed") == [step // 4 * 4 for step in range(4, STEPS)]
    require_same(again, whole(tmp_path / "whole", run))


WRITTEN = 11  # operations of a checkpoint before it has its name: a folder, three for each file


def killed_thrice(path, run, parent, data, checkpoints, number):
    """Before a step, before the number-th operation of a checkpoint, before a later step."""
    first, second = checkpoints
    every = {"checkpoint_steps": second - first}
    killed_before(first + 1, path, run, parent, data, **every)
    assert in_checkpoint(second, number, die, path, run, parent, data, **every) == KILLED
    killed_before(second + 1, path, run, parent, data, **every)
    again = whole(path, run, parent, data)
    assert resumed(path) == [first, second if number >= WRITTEN else first, second]
    return again


@pytest.mark.parametrize("method", METHODS)
def test_with_every_method(method, tmp_path):
    run = make_run(method, 24, snapshots=(9, 20))
    parent = parent_of(run, tmp_path)
    number = METHODS.index(method) % (WRITTEN + 1)  # another operation for each
    again = killed_thrice(tmp_path / "killed", run, parent, None, (10, 20), number)
    require_same(again, whole(tmp_path / "whole", run, parent))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """The torch loader's dataset: class folders of small JPEGs, augmented."""
    from small_betons import folder_of

    root = tmp_path_factory.mktemp("images")
    folder_of(root / "train", count=12, size=(40, 30))
    folder_of(root / "test", count=6, size=(40, 30))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder, "TRAIN_SIZE", 16)
        patch.setattr(folder, "RESIZED", 18)
        patch.setattr(folder.Folders, "image_shape", (3, 16, 16))
        yield lambda workers=0: folder.Folders(
            "small", root / "train", root / "test", workers=workers
        )


def run_of_images(method, steps):
    run = make_run(method, steps)
    small = dataclasses.replace(run.recipe, batch_size=4)  # of 12: an epoch is three steps
    above = run.parent and dataclasses.replace(run.parent, recipe=small)
    return dataclasses.replace(run, recipe=small, parent=above)


@pytest.mark.parametrize("method", METHODS)
def test_with_every_method_through_the_torch_loader(method, images, tmp_path):
    run, data = run_of_images(method, 14), images()
    parent = parent_of(run, tmp_path, data)
    number = METHODS.index(method) % (WRITTEN + 1)
    again = killed_thrice(tmp_path / "killed", run, parent, data, (8, 12), number)
    require_same(again, whole(tmp_path / "whole", run, parent, data))


def test_inside_a_checkpoint(tmp_path):
    """Before each thing the disk is told: the checkpoint before is used, or this one is whole."""
    run, base = make_run("rigl", 16), tmp_path / "base"
    with pytest.raises(Requeue):
        train_to(base, run, checkpoint_steps=5, stop_after=10)
    expected, reached = whole(tmp_path / "whole", run), []

    def interrupted(number, act):
        path = tmp_path / f"{act.__name__}-{number}"
        shutil.copytree(base, path)
        code = in_checkpoint(15, number, act, path, run, checkpoint_steps=5)
        if code != 0:
            assert code == KILLED
            require_same(whole(path, run), expected)
            reached.append(resumed(path)[-1])
            assert [e for e in events(path) if "passed over" in e["event"]] == []
        return code

    for number in itertools.count():
        if interrupted(number, die) == 0:  # it has no such operation
            break
    # then its name is made to last, and the three files and the folder of the oldest go
    assert reached == [10] * WRITTEN + [15] * 5
    assert len(list((tmp_path / f"die-{number}").glob("checkpoint-*"))) == 2
    reached.clear()
    assert [interrupted(number, torn) for number in (1, 4, 7)] == [KILLED] * 3
    assert reached == [10] * 3


def test_workers_of_the_loader_do_not_hold_a_killed_run(images, tmp_path):
    """They are forked while it is held, and see only seconds later that their process is gone."""
    run, data = run_of_images("set", 6), images(workers=1)

    def work():
        with RunFolder(tmp_path / "killed").lock():
            watched = Watched(lambda at, *_: die() if at == 4 else None, data)
            train_to(tmp_path / "killed", run, data=watched)

    assert forked(work) == KILLED
    with RunFolder(tmp_path / "killed").lock():  # at once
        again = whole(tmp_path / "killed", run, data=data)
    require_same(again, whole(tmp_path / "whole", run, data=images()))
