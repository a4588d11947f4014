"""The rehearsal: three steps of every row, and an error where a run does not do as it should."""

import pytest

from resparse import artifact, data, registry
from resparse.errors import RunFailed
from resparse.rehearse import rehearse

TABLE = artifact.load("itop/table2")


def rehearsed(*labels):
    """What the rehearsal of these rows at sparsity 0.9 says."""
    planned = artifact.plan(TABLE, "smoke", "x", seeds=[0], only=labels, sparsities=[0.9])
    said = []
    return lambda: rehearse(planned, "cpu", said.append) or said


def test_every_row_moves_masks_or_not_as_it_should_and_resumes():
    labels = [row.label for row in TABLE.rows]
    said = rehearsed(*labels)()
    for label in labels:
        assert any(label in line for line in said), label
    for line in said:
        moves = not any(f"({method}," in line for method in ("dense", "static", "ltr"))
        assert f"{int(moves)} update" in line
        assert "resume" in line


def test_images_of_a_dataset_that_is_not_here_are_random_ones_of_its_shape():
    """The MLP on CIFAR-10: Figure 3's paper level, without its data."""
    table = artifact.load("itop/panels/figure3_mlp")
    label = "SET interval 1500"
    planned = artifact.plan(table, "paper", "x", seeds=[0], only=[label], sparsities=[0.95])
    said = []
    rehearse(planned, "cpu", said.append)
    assert len(said) == 1
    assert said[0].startswith(f"rehearsed {label} (set_itop, density 0.05): mlp, 3 steps, 1 up")
    assert "183,757 of 3,675,136 weights" in said[0]  # 3,072 inputs; 1,024, 512 and 10 neurons


@pytest.mark.parametrize("dataset", data.PREPARED)
def test_random_images_have_the_shape_of_their_dataset(dataset):
    images, shape = data.load(f"random_{dataset}", None), data.describe(dataset)
    assert (images.classes, images.image_shape) == (shape.classes, shape.image_shape)
    assert (images.train_size, images.size("val"), images.size("test")) == (8, 4, 4)
    assert data.source(f"random_{dataset}").name == "synthetic.py"


@pytest.mark.parametrize("label", ["Static", "RigL"])
def test_a_run_that_does_not_resume_fails_the_rehearsal(label, monkeypatch):
    run = rehearsed(label)
    monkeypatch.setattr("resparse.trainer.resume", lambda t, folder: None)
    with pytest.raises(RunFailed, match="resume"):
        run()


@pytest.mark.parametrize("label", ["RigL", "SET", "GMP", "RigL-ITOP"])
def test_a_method_that_should_move_masks_and_does_not_fails_the_rehearsal(label, monkeypatch):
    run = rehearsed(label)
    cls = registry.load(TABLE.row(label).method)
    monkeypatch.setattr(cls, "updates_at", lambda self, step: False)
    if label == "GMP":  # whose own check and counts know when pruning is due
        monkeypatch.setattr(cls, "check", lambda self: None)
        monkeypatch.setattr(cls, "nnz_at", lambda self, step: dict(self.sizes))
    # what was not pruned is refused before the updates are counted
    words = "active weights at the end" if label == "GMP" else "0 mask updates"
    with pytest.raises(RunFailed, match=f"{cls.__module__.split('.')[-1]}.* {words}"):
        run()


def test_a_method_that_should_not_move_masks_and_does_fails_the_rehearsal(monkeypatch):
    run = rehearsed("Static")
    monkeypatch.setattr(registry.load("static"), "updates_at", lambda self, step: step == 1)
    with pytest.raises(RunFailed, match=r"static.* 1 mask update"):
        run()


def test_a_rehearsal_leaves_nothing_behind(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert len(rehearsed("Static")()) == 1
    assert list(tmp_path.iterdir()) == []
