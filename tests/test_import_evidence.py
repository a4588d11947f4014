"""resparse import: what a record says of its own masks and weights is held against its files."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from conftest import METHODS, PER_EPOCH, make_run
from safetensors.torch import load_file, save_file
from test_import import FACTS, forget, here, imported, made, rewrite, there
from test_resolve import WORKLOAD, written

import resparse
from resparse import evidence, workloads
from resparse.__main__ import main
from resparse.errors import RunFailed
from resparse.files import canonical, file_sha256
from resparse.frame import REQUIRED
from resparse.masks import Masks
from resparse.outside import copied
from resparse.record import RunStore
from resparse.worker import code_of, train_and_commit

__all__ = ["forget", "here", "made", "there"]  # fixtures for this file as well


def outcome_with(**changes):
    """A forger: it changes the outcome and commits the record anew."""

    def forge(folder):
        rewrite(folder, outcome=folder.record().outcome | changes)

    return forge


def without(key):
    def forge(folder):
        outcome = folder.record().outcome
        del outcome[key]
        rewrite(folder, outcome=outcome)

    return forge


def nnz_of_ones(folder):
    outcome_with(nnz=dict.fromkeys(folder.record().outcome["nnz"], 1))(folder)


def one_layer_less(folder):
    nnz = folder.record().outcome["nnz"]
    del nnz["fc"]
    outcome_with(nnz=nnz)(folder)


def other_tensors(folder, tensors):
    """Other weights and masks, with the hash that belongs to them."""
    save_file(tensors, folder.path / "final.safetensors")
    digest = file_sha256(folder.path / "final.safetensors")
    marker = json.loads((folder.path / "COMMITTED").read_text())
    (folder.path / "COMMITTED").write_text(canonical(marker | {"final.safetensors": digest}))
    outcome_with(weights_sha256=digest)(folder)


def one_weight_moved(folder):
    tensors = load_file(folder.path / "final.safetensors")
    mask = tensors["mask/fc"].view(-1)
    active, inactive = int(mask.int().argmax()), int(mask.int().argmin())
    mask[active], mask[inactive] = False, True
    other_tensors(folder, tensors)


def masks_as_bytes(folder):
    tensors = load_file(folder.path / "final.safetensors")
    tensors["mask/fc"] = tensors["mask/fc"].to(torch.uint8)
    other_tensors(folder, tensors)


def no_masks(folder):
    other_tensors(folder, {"model/fc.weight": torch.ones(2)})


def weights_not_committed(folder):
    marker = {"record.json": file_sha256(folder.path / "record.json")}
    (folder.path / "COMMITTED").write_text(canonical(marker))


@pytest.mark.parametrize(
    ("forge", "why"),
    [
        (lambda f: rewrite(f, outcome={}), "outcome: top1_last is missing; needed: top1_last, "),
        (lambda f: rewrite(f, outcome=[]), "outcome"),
        (without("nnz"), "outcome: nnz is missing"),
        (outcome_with(more=1), "outcome: unknown key 'more'"),
        (outcome_with(top1_last="99"), "outcome: top1_last = '99'; valid: a number"),
        (outcome_with(top1_last=101.0), "outcome: top1_last = 101.0; valid: at most 100"),
        (outcome_with(rs=None), "outcome: rs = nothing; valid: a number"),
        (outcome_with(train_flops={"train": 1.0}), "outcome: train_flops.init is missing"),
        (outcome_with(nnz={"fc": 1.5}), "outcome: nnz.fc = 1.5; valid: a whole number"),
        (outcome_with(weights_sha256="0" * 64), f"outcome: weights_sha256 = '{'0' * 64}'; by "),
        (outcome_with(masks_sha256="0" * 64), f"outcome: masks_sha256 = '{'0' * 64}'; by "),
        (outcome_with(maskable=1), "outcome: maskable = 1; by final.safetensors it is 4964"),
        (nnz_of_ones, "outcome: nnz.conv1 = 1; by final.safetensors it is 36"),
        (one_layer_less, "outcome: nnz.fc = None; by final.safetensors it is "),
        (one_weight_moved, "outcome: masks_sha256 = "),
        (masks_as_bytes, "mask/fc is uint8; valid: bool"),
        (no_masks, "holds no masks"),
        (weights_not_committed, "COMMITTED names no final.safetensors"),
        (lambda f: rewrite(f, provenance={}), "provenance: wall_s is missing"),
    ],
)
def test_what_the_files_do_not_bear_out_is_refused(there, here, capsys, forge, why):
    store, runs = there
    forge(store.folder(runs["static"]))
    code, found, (said,) = imported(store, here, capsys)
    key = runs["static"].key
    assert (code, list(found["refused"])) == (2, [key])
    assert why in said
    assert key in said
    assert len(resparse.records(here.root)) == len(found["added"]) == 3


def test_a_forged_accuracy_is_not_found_and_that_is_said(there, here, capsys):
    store, runs = there
    outcome_with(top1_last=99.9)(store.folder(runs["static"]))
    assert main(["import", str(store.root), "--runs", str(here.root)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert "believed, not recomputed: accuracies, R_s and FLOPs" in last


@pytest.mark.parametrize("method", METHODS)
def test_the_record_of_a_training_bears_itself_out(method, tmp_path):
    """Schema, trainer and every method agree; ltr's masks are its parent's, in another order."""
    store, run = RunStore(tmp_path), make_run(method, steps=PER_EPOCH)
    for each in (run.parent, run) if run.parent else (run,):
        record = train_and_commit(each, store, code=code_of(each), **FACTS)
    evidence.check(record, store.folder(run).path)
    assert set(REQUIRED) <= set(record.outcome)
    outcome_with(masks_sha256="0" * 64)(store.folder(run))
    with pytest.raises(RunFailed, match="masks_sha256"):
        evidence.check(store.record(run), store.folder(run).path)


def test_the_digest_is_the_trainers():
    """Of two layers whose names are not in alphabetical order."""
    masks = {"b": torch.tensor([True, False]), "a": torch.tensor([[True], [True]])}
    weights = {name: torch.nn.Parameter(torch.ones(mask.shape)) for name, mask in masks.items()}
    arrays = {name: np.asarray(masks[name]) for name in ("a", "b")}
    assert evidence.digest(arrays, ["b", "a"]) == Masks(weights, masks).digest()
    assert evidence.digest(arrays, ["a", "b"]) != Masks(weights, masks).digest()


def test_other_code_of_a_method_from_outside_is_stale(there, here, capsys):
    store, runs = there
    rewrite(store.folder(runs["mine"]), fingerprint="another")
    code, found, _ = imported(store, here, capsys)
    assert (code, found["stale"], found["unknown"]) == (0, [runs["mine"].key], [])


def test_a_method_that_this_version_does_not_have_is_stale(there, here, capsys):
    store, runs = there
    for run in runs.values():
        if run.method != "static":
            shutil.rmtree(store.folder(run).path)
    run = dataclasses.replace(runs["static"], method="tomorrows")
    rewrite(store.folder(runs["static"]), config=run.config, key=run.key)
    store.folder(runs["static"]).path.rename(store.folder(run).path)
    code, found, _ = imported(store, here, capsys)
    assert (code, found["stale"]) == (0, [run.key])


def test_the_code_of_a_workload_from_outside_is_unknown_and_said(tmp_path, here, capsys):
    store = RunStore(tmp_path / "stick" / "runs")
    copy, digest = copied(written(tmp_path / "my_digits.py", WORKLOAD), store.root, "workloads")
    workloads.add("my_digits", copy, digest)
    run = dataclasses.replace(
        make_run("static", 2), model="my_digits", dataset="my_digits", workload_sha256=digest
    )
    train_and_commit(run, store, code=code_of(run), **FACTS)
    assert main(["import", str(store.root), "--runs", str(here.root)]) == 0
    counts = "1 records added (0 made by this very code, 0 STALE: by other code, 1 unknown: "
    assert counts in capsys.readouterr().out
    assert here.record(run) == store.record(run)
