"""TensorBoard event files, read back by TensorBoard's own reader."""

import ast
import dataclasses
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from conftest import make_run, train_to
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from resparse import tensorboard, worker
from resparse.errors import Missing
from resparse.how import How
from resparse.record import RunStore
from resparse.tensorboard import FOLDER, NAMED, Board, make_last

UPDATES = [4, 8, 12, 16, 20, 24, 28]  # steps done after each, at interval 4
EPOCHS = [14, 28, 30]
RUN = dataclasses.replace(make_run("set"), test_every_epoch=True)


def scalars(folder):
    """tag -> [(step, value)], as TensorBoard shows them."""
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    found.Reload()
    tags = found.Tags()["scalars"]
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in tags}


def watched(path, run, **options):
    """train() with a board in the run's folder."""
    return train_to(path, run, see=Board(path), **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(what TensorBoard shows, what was trained) of one run without an interruption."""
    path = tmp_path_factory.mktemp("whole")
    trained = watched(path, RUN)
    return scalars(path / FOLDER), trained


def test_it_shows_what_was_trained(whole):
    shown, trained = whole
    for tag, curve in (("loss/train", "train_loss"), ("top1/val", "val_top1")):
        assert [step for step, _ in shown[tag]] == EPOCHS
        assert [value for _, value in shown[tag]] == pytest.approx(trained.curves[curve])
    assert [value for _, value in shown["top1/test"]] == pytest.approx(trained.curves["test_top1"])
    assert 0.1 > shown["lr"][0][1] > shown["lr"][1][1] > shown["lr"][2][1] > 0.0
    nnz = sum(trained.outcome["nnz"].values())
    assert shown["masks/nnz"] == [(step, nnz) for step in EPOCHS]
    density = pytest.approx(nnz / trained.outcome["maskable"])
    assert [value for _, value in shown["masks/density"]] == [density] * 3
    assert shown["masks/R_s"][-1][1] == pytest.approx(trained.outcome["rs"])


def test_updates_say_what_they_dropped_and_grew(whole):
    shown, trained = whole
    assert [step for step, _ in shown["masks/dropped"]] == UPDATES
    assert shown["masks/grown"] == shown["masks/dropped"]  # the counts of SET stay
    layers = {tag: dict(found) for tag, found in shown.items() if tag.startswith("dropped/")}
    assert set(layers) == {f"dropped/{name}" for name in trained.outcome["nnz"]}
    for step, dropped in shown["masks/dropped"]:
        assert dropped > 0
        assert dropped == sum(found[step] for found in layers.values())


def test_looking_changes_nothing(whole, tmp_path):
    assert train_to(tmp_path, RUN) == whole[1]


@pytest.mark.fault
@pytest.mark.parametrize("ahead", [-60, 0, 9_000], ids=["as usual", "at once", "clock set back"])
def test_resumed_it_shows_every_step_once(ahead, whole, tmp_path):
    """Killed at step 28: what followed the checkpoint at 20, epoch 28 also, is written again."""

    board = Board(tmp_path)

    def see(t):
        board(t)
        if t.progress.step == 28:  # what was just written is on file
            os.kill(os.getpid(), signal.SIGKILL)

    forked, options = multiprocessing.get_context("fork"), {"checkpoint_steps": 20, "see": see}
    child = forked.Process(target=train_to, args=(tmp_path, RUN), kwargs=options)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    first = scalars(tmp_path / FOLDER)
    assert [step for step, _ in first["masks/dropped"]] == UPDATES
    assert [step for step, _ in first["loss/train"]] == EPOCHS[:2]
    torn = next((tmp_path / FOLDER).iterdir())
    torn.write_bytes(torn.read_bytes()[:-7])  # killed in a write
    parts = torn.name.split(".")
    parts[3] = f"{int(parts[3]) + ahead}"
    torn.rename(torn.with_name(".".join(parts)))
    assert watched(tmp_path, RUN) == whole[1]
    assert len(list((tmp_path / FOLDER).iterdir())) == 2
    assert scalars(tmp_path / FOLDER) == whole[0]


@pytest.mark.fault
def test_files_keep_their_order_whatever_the_clock_says(tmp_path):
    now = int(time.time())
    names = [f"{NAMED}.{stamp:010d}.my.host.7.0" for stamp in (1, now - 9, now + 60)]
    for name in names:
        (tmp_path / name).write_text(name)
    make_last(tmp_path)
    kept = sorted(tmp_path.iterdir())
    assert [path.name[len(NAMED) :] for path in kept] == [
        ".0000000001.my.host.7.0", ".0000000002.my.host.7.0", ".0000000003.my.host.7.0",
    ]  # fmt: skip
    assert [path.read_text() for path in kept] == names
    make_last(tmp_path)
    assert sorted(tmp_path.iterdir()) == kept


def test_a_board_of_a_worker_is_beside_what_is_committed(tmp_path):
    run, store = make_run("static"), RunStore(tmp_path)
    facts = {"data_root": None, "provenance": {"git_sha": "", "git_dirty": False}}
    arguments = {"code": worker.code_of(run), "how": How(tensorboard=True), **facts}
    record = worker.train_and_commit(run, store, **arguments)
    folder = store.folder(run)
    shown = scalars(folder.path / FOLDER)
    assert shown["top1/test"] == [(30, pytest.approx(record.outcome["top1_last"]))]
    assert "masks/dropped" not in shown
    folder.verify()
    assert not any(FOLDER in name for name in json.loads((folder.path / "COMMITTED").read_text()))
    assert "tensorboard" not in record.provenance
    assert worker.train_and_commit(run, store, **arguments) == record
    assert scalars(folder.path / FOLDER) == shown


def test_a_folder_that_cannot_be_is_said(tmp_path):
    (tmp_path / FOLDER).write_text("")
    with pytest.raises(Missing, match=rf"cannot write {tmp_path / FOLDER}: "):
        watched(tmp_path, make_run("static"))


def test_it_is_imported_where_it_is_asked_for():
    tree = ast.parse(Path(tensorboard.__file__).read_text())
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert "torch.utils" not in ast.unparse(ast.Module(top, []))
