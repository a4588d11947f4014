"""Whole runs of the sparse engine: stopped, continued in the other engine, equal accuracy."""

import dataclasses
import json
import shutil

import pytest
import torch
from conftest import counts_of, make_run
from safetensors.torch import load_file
from statsmodels.stats.weightstats import ttost_paired

from resparse import precision
from resparse.beginning import start
from resparse.checkpoint import load_checkpoint, save_checkpoint
from resparse.commands.run import line
from resparse.data import digits
from resparse.errors import Requeue, RunFailed, UsageError
from resparse.how import How
from resparse.record import Record, RunFolder
from resparse.resuming import resume
from resparse.trainer import train, train_steps

SPARSE = How(crossover=1.0)
MARGIN = 1.0  # points of top-1: 7 of the 700 test images, half of what two seeds differ by


def run_of(engine, kind="fp64", method="rigl", **changed):
    run = dataclasses.replace(make_run(method), model="mlp_small", precision=kind, engine=engine)
    return dataclasses.replace(run, **changed)


def to_end(folder, run, how=SPARSE, **options):
    precision.enter(run.precision)
    folder.mkdir(exist_ok=True)
    how = how if run.engine != "masked" else How()
    return train(run, digits.load(), counts_of(run), RunFolder(folder), how=how, **options)


@pytest.mark.parametrize("method", ["rigl", "set", "gmp", "snfs"])
def test_stopped_and_continued_is_bit_identical(method, tmp_path):
    run = run_of("sparse", "fp32", method)
    with pytest.raises(Requeue):
        to_end(tmp_path / "halves", run, stop_after=17)
    halves, whole = (to_end(tmp_path / name, run) for name in ("halves", "whole"))
    assert halves == whole
    for name in halves.files:
        files = [(tmp_path / of / name).read_bytes() for of in ("halves", "whole")]
        assert files[0] == files[1]


@pytest.mark.parametrize(("first", "then"), [("masked", "sparse"), ("sparse", "masked")])
def test_a_checkpoint_of_one_engine_is_continued_by_the_other(first, then, tmp_path):
    """Its numbers are the dense network's; only the run that it names differs."""
    one, other = run_of(first), run_of(then)
    with pytest.raises(Requeue):
        to_end(tmp_path / "moved", one, stop_after=17)
    path = tmp_path / "moved" / "checkpoint-000000017"
    assert load_checkpoint(path.parent, other.key, lambda what: None) is None  # not by itself
    _, tensors, state = load_checkpoint(path.parent, one.key, lambda what: None)
    (tmp_path / "taken").mkdir()
    save_checkpoint(tmp_path / "taken", 17, tensors, state, run=other.key)
    moved = to_end(tmp_path / "taken", other), to_end(tmp_path / "whole", other)
    events = (tmp_path / "taken" / "events.jsonl").read_text()
    assert '"event":"resumed","step":17' in events
    assert moved[0].outcome["masks_sha256"] == moved[1].outcome["masks_sha256"]
    ends = [load_file(tmp_path / of / "final.safetensors") for of in ("taken", "whole")]
    assert ends[0].keys() == ends[1].keys()
    for name, value in ends[0].items():
        assert torch.allclose(value.double(), ends[1][name].double(), rtol=1e-8, atol=1e-12)


def test_layers_go_on_as_they_began_whatever_is_measured_later(tmp_path):
    run = run_of("sparse", "fp32")
    with pytest.raises(Requeue):
        to_end(tmp_path, run, stop_after=17)
    t = start(run, digits.load(), counts_of(run), None, How(crossover=0.0))
    assert not any(stored.is_packed for stored in t.masks.stored.values())
    resume(t, RunFolder(tmp_path))
    assert all(stored.is_packed for stored in t.masks.stored.values())
    next(train_steps(t, 30))


def test_set_never_forms_a_dense_gradient_and_rigl_only_at_updates(monkeypatch):
    from resparse.engine.layers import Kept

    formed = []
    real = Kept.formed
    monkeypatch.setattr(Kept, "formed", lambda self: formed.append(1) or real(self))
    for method, expected in (("set", 0), ("rigl", 3)):
        run = run_of("sparse", "fp32", method)
        precision.enter("fp32")
        t = start(run, digits.load(), counts_of(run), None, SPARSE)
        formed.clear()
        for step in train_steps(t, 12):
            assert bool(formed) == bool(expected and (step + 1) % 4 == 0), step
            assert len(formed) in (0, expected)  # a layer once
            formed.clear()


def test_auto_says_what_it_chose_for_each_layer():
    run = dataclasses.replace(run_of("auto", "fp32", "set"), model="resnet8")
    precision.enter("fp32")
    t = start(run, digits.load(), counts_of(run), None, SPARSE)
    said = set(t.engine.values())
    assert t.engine["conv1"] == "masked: no sparse Conv2d like it"
    assert t.engine["fc"] == "sparse up to density 1, as asked"
    assert len(said) == 2
    run = run_of("auto", "fp32", "snfs")
    t = start(run, digits.load(), counts_of(run), None, How())
    assert set(t.engine.values()) == {"masked: its method asks for dense gradients at every step"}


def test_auto_says_why_it_packs_nothing_at_density_1():
    run = dataclasses.replace(run_of("auto", "fp32", "dense"), density=1.0)
    t = start(run, digits.load(), counts_of(run), None, How())
    assert set(t.engine) == {"fc1", "fc2", "fc3"}
    assert all(words.startswith("masked: at density 1, which") for words in t.engine.values())


def test_layers_are_told_by_the_weights_that_a_ranking_gave_them(tmp_path):
    """SNIP leaves out half of a layer that the run's distribution keeps whole."""
    run = run_of("sparse", "fp32", "snip")
    trained = to_end(tmp_path, run, how=How(crossover=0.6))
    sizes = {"fc1": 64 * 256, "fc2": 256 * 128, "fc3": 128 * 10}
    found = {name: trained.outcome["nnz"][name] / size <= 0.6 for name, size in sizes.items()}
    assert found != {name: counts_of(run)[name] / size <= 0.6 for name, size in sizes.items()}
    told = {name: words.startswith("sparse up to") for name, words in trained.engine.items()}
    assert told == found


def test_sparse_names_a_layer_that_it_does_not_have():
    run = dataclasses.replace(run_of("sparse", "fp32", "set"), model="resnet8")
    with pytest.raises(UsageError, match=r"layer conv1 is Conv2d\(.*valid: networks of linear"):
        start(run, digits.load(), counts_of(run), None, SPARSE)


def test_a_mask_off_by_one_is_an_error_at_the_next_checkpoint(tmp_path):
    def lose(t):
        if t.progress.step == 9:
            flat = t.masks.mask["fc1"].view(-1)
            flat[flat.nonzero()[0]] = False

    with pytest.raises(RunFailed, match="layer fc1: "):
        to_end(tmp_path, run_of("sparse", "fp32", "static"), checkpoint_steps=5, see=lose)


def test_the_record_says_how_each_layer_was_stored(tmp_path, capsys):
    from resparse.__main__ import main

    given = "run set --workload digits_mlp --engine sparse --crossover 0.5 --precision fp32"
    code = main(
        [*given.split(), "--length", "0.02", "--set", "interval=4", "--runs", str(tmp_path)]
    )
    assert code == 0
    assert "engine sparse: fc1, fc2;" in capsys.readouterr().out
    file = next(tmp_path.glob("*/record.json"))
    record = Record.from_json(json.loads(file.read_text()))
    assert record.run.engine == "sparse"
    assert record.provenance["engine"]["fc1"] == "sparse up to density 0.5, as asked"
    assert record.provenance["engine"]["fc3"].startswith("full: density ")
    assert "engine sparse" in line(record)
    shutil.rmtree(tmp_path / record.key)


@pytest.mark.fault
@pytest.mark.long
def test_accuracies_of_20_seeds_are_equivalent(tmp_path):
    found = {"masked": [], "sparse": []}
    for seed in range(20):
        for engine, scores in found.items():
            run = run_of(engine, "fp32", "set", seed=seed)
            run = dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, steps=280))
            trained = to_end(tmp_path / f"{engine}-{seed}", run)
            scores.append(trained.outcome["top1_last"])
    assert min(found["masked"]) > 80  # it learns
    sparse, masked = (torch.tensor(scores).numpy() for scores in (found["sparse"], found["masked"]))
    p, *_ = ttost_paired(sparse, masked, -MARGIN, MARGIN)
    differences = [a - b for a, b in zip(found["sparse"], found["masked"], strict=True)]
    print(f"TOST p = {p:.2g}, differences {min(differences):.2f} to {max(differences):.2f}")
    assert p < 0.05
