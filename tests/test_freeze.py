"""Freezing: from a clean commit and an empty store, a line a record, nothing else touched."""

import contextlib
import io
import json
import shutil
from pathlib import Path
from typing import NamedTuple

import checkout
import pytest

from resparse import artifact, data
from resparse.__main__ import main
from resparse.record import Record, RunStore
from resparse.worker import code_of

SEEDS, SPARSITIES = (0, 1), (0.9, 0.8)
BEFORE = "the frozen records before\n"


class Frozen(NamedTuple):
    """What freezing did."""

    folder: Path
    head: str  # the commit
    planned: list
    refused: tuple  # exit code and stderr with an uncommitted change
    kept: str  # the frozen file then
    done: tuple
    lines: list


def wrong_record(run):
    """A record of ``run`` that no training gave."""
    outcome = {"top1_last": 99.99, "top1_best_val": 99.99, "rs": 0.1, "nnz": {}}
    return Record(
        key=run.key,
        config=run.config,
        fingerprint=code_of(run),
        status="completed",
        reason="",
        outcome=outcome,
        curves={},
        provenance={"git_sha": "other", "wall_s": 1.0},
    )


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    """Freeze two seeds of Static in a checkout of its own, first with an uncommitted change."""
    folder = checkout.tiny_checkout(tmp_path_factory.mktemp("freeze"), rows=["Static"], epochs=1)
    target = folder / "baselines" / "frozen" / "itop" / "table2-smoke.jsonl"
    target.parent.mkdir(parents=True)
    target.write_text(BEFORE)
    head = checkout.commit(folder)
    with pytest.MonkeyPatch.context() as monkeypatch:
        checkout.use(folder, monkeypatch)
        images = data.load("digits", None)
        table = artifact.load("itop/table2")
        planned = artifact.plan(table, "smoke", images.sha256, seeds=SEEDS)
        for item in planned:  # in the ordinary store, which is not the freeze's
            run = RunStore(folder / "runs").folder(item.run)
            run.path.mkdir(parents=True)
            run.commit(wrong_record(item.run), [])
        edited = folder / "methods" / "rigl.py"
        clean = edited.read_text()
        edited.write_text(clean + "# not committed\n")
        refused = freeze()
        kept = target.read_text()
        edited.write_text(clean)
        done = freeze()
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    return Frozen(folder, head, planned, refused, kept, done, lines)


def freeze():
    """Exit code and stderr of the command."""
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        return main(["freeze", "itop/table2", "--workers", "1"]), errors.getvalue()


def test_a_dirty_tree_is_refused_by_the_name_of_the_file(frozen):
    code, errors = frozen.refused
    assert code == 5
    assert "uncommitted" in errors
    assert "methods/rigl.py" in errors
    assert frozen.kept == BEFORE


def test_a_frozen_file_has_a_line_for_each_row_sparsity_and_seed(frozen):
    assert frozen.done[0] == 0
    expected = {("Static", sparsity, seed) for sparsity in SPARSITIES for seed in SEEDS}
    assert len(frozen.lines) == len(expected)
    assert {(line["row"], line["sparsity"], line["seed"]) for line in frozen.lines} == expected
    assert {line["key"] for line in frozen.lines} == {item.run.key for item in frozen.planned}


def test_frozen_outcomes_are_trained_and_not_read_from_the_ordinary_store(frozen):
    fingerprints = {item.run.key: code_of(item.run) for item in frozen.planned}
    for line in frozen.lines:
        assert line["outcome"]["top1_last"] != 99.99
        assert sum(line["outcome"]["nnz"].values()) == {0.9: 496, 0.8: 993}[line["sparsity"]]
        assert line["fingerprint"] == fingerprints[line["key"]]
    assert len({line["outcome"]["weights_sha256"] for line in frozen.lines}) == len(frozen.lines)
    for item in frozen.planned:
        kept = RunStore(frozen.folder / "runs").record(item.run)
        assert kept is not None
        assert kept.outcome["top1_last"] == 99.99


def test_the_freezes_own_store_is_gone_afterwards(frozen):
    left = {path.name for path in (frozen.folder / "runs").iterdir()}
    assert left == {item.run.key for item in frozen.planned}


def test_frozen_records_name_their_clean_commit(frozen):
    path = frozen.folder / "baselines" / "frozen" / "itop" / "table2-smoke.provenance.json"
    facts = json.loads(path.read_text())
    assert facts["git_sha"] == frozen.head
    assert facts["git_dirty"] is False
    assert "freeze" in facts["command"]
    assert "itop/table2" in facts["command"]


def test_each_freeze_has_a_store_of_its_own_that_no_other_command_enters(frozen, monkeypatch):
    """The first to end would delete what the other, which takes a night, has trained."""
    roots, again = [], []

    def interrupted(todo, store, **how):
        roots.append(store.root)
        if len(roots) == 1:
            again.append(freeze())
        return {todo[0].key: "interrupted"}

    checkout.use(frozen.folder, monkeypatch)
    monkeypatch.setattr("resparse.frozen.freeze.clean_commit", lambda: frozen.head)
    monkeypatch.setattr("resparse.frozen.freeze.run_all", interrupted)
    assert freeze()[0] == 2
    assert len(roots) == 1
    assert again[0][0] == 2
    assert f"{roots[0].name} is being trained" in again[0][1]
    assert main(["freeze", "compare/panel"]) == 2
    assert roots[0] != roots[1]
    for root in roots:
        assert root.name.startswith(f"freeze-{frozen.head}-")
        assert root.is_dir()
        shutil.rmtree(root)
