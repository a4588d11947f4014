"""The panel's stored baselines: used where they hold, refused where not; what counts as a try."""

import dataclasses
import json

import pytest
import torch
from comparing import MINE, brief, checked_elsewhere, small

from resparse import registry
from resparse.__main__ import main
from resparse.compare import panel
from resparse.compare.baseline import stored
from resparse.compare.command import tried
from resparse.errors import RunFailed
from resparse.frozen.lines import frozen_file, frozen_lines
from resparse.record import RunStore
from resparse.worker import code_of

ENDED = {"status": "completed", "outcome": {}}  # of a frozen line that is only found


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A small panel, compared once: the baselines' records lie in its runs/."""
    folder = small(tmp_path_factory.mktemp("checkout"))
    (folder / "mine.py").write_text(MINE)
    with pytest.MonkeyPatch.context() as patch:
        brief(folder, patch)
        checked_elsewhere(patch)
        assert main(["compare", str(folder / "mine.py")]) == 0
    return folder


def freeze(folder, changes=lambda line: line):
    """Keep the runs of the baselines as frozen lines, as the command freeze does."""
    store = RunStore(folder / "runs")
    found = [store.at(p.parent.name).record() for p in (folder / "runs").glob("*/COMMITTED")]
    lines = [
        {"key": r.key, "status": r.status, "fingerprint": r.fingerprint, "outcome": r.outcome}
        for r in found
        if not r.run.method_sha256
    ]
    file = folder / "baselines/frozen/compare/panel-smoke.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(changes(line)) + "\n" for line in lines))
    facts = {"git_sha": "0123456789abcdef", "torch": found[0].provenance["torch"]}
    file.with_suffix(".provenance.json").write_text(json.dumps(facts))
    return len(lines)


def compare_again(folder, runs, capsys):
    """The method on an empty store beside frozen lines: exit code, runs, what is said."""
    mine = folder / "mine.py"
    mine.write_text(MINE)
    with pytest.MonkeyPatch.context() as patch:
        brief(folder, patch)
        checked_elsewhere(patch)
        code = main(["compare", str(mine), "--runs", str(runs)])
    store = RunStore(runs)
    found = [store.at(p.parent.name).record() for p in runs.glob("*/COMMITTED")]
    page = (folder / "reports/compare/mine.md").read_text()
    return code, sorted((r.run.method, r.run.seed) for r in found), page, capsys.readouterr().err


def test_stored_baselines_are_not_trained(checkout, tmp_path, capsys):
    assert freeze(checkout) == 12
    code, trained, page, _ = compare_again(checkout, tmp_path / "runs", capsys)
    assert (code, trained) == (0, [("mine", 0), ("mine", 1)])
    assert "12 frozen records, made at 0123456789ab with torch " in page
    assert "trained again" not in page


def test_stored_baselines_of_other_code_are_tried_again(checkout, tmp_path, capsys):
    freeze(checkout, lambda line: line | {"fingerprint": "other"})
    code, trained, page, _ = compare_again(checkout, tmp_path / "runs", capsys)
    assert (code, trained) == (0, [("dense", 0), ("mine", 0), ("mine", 1), ("static", 0)])
    assert "; 2 of them trained again by today's code, every number bit-equal" in page


def test_stored_baselines_that_no_longer_hold_are_refused(checkout, tmp_path, capsys):
    def other(line):
        outcome = line["outcome"] | {"top1_last": line["outcome"]["top1_last"] + 1}
        return line | {"fingerprint": "other", "outcome": outcome}

    freeze(checkout, other)
    before = (checkout / "reports/compare/mine.md").read_text()
    code, _, page, error = compare_again(checkout, tmp_path / "runs", capsys)
    assert code == 2
    assert page == before
    assert "baseline Dense on digits_mlp, sparsity 0.9, seed 0 ends at" in error
    assert "nox -s freeze -- compare/panel" in error


@pytest.mark.parametrize("kept", [None, b"", b"{", b"[]", b"{}", b"\xff"])
def test_lines_without_sound_facts_of_what_made_them_are_refused(kept, tmp_path, monkeypatch):
    entry = panel.baseline_entries(panel.load(), "smoke")[0]
    monkeypatch.setattr("resparse.frozen.lines.ROOT", tmp_path)
    file = frozen_file("compare/panel", "smoke")
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"key": entry.run.key, "fingerprint": "other", **ENDED}) + "\n")
    path = file.with_suffix(".provenance.json")
    if kept is not None:
        path.write_bytes(kept)
    with pytest.raises(RunFailed, match=rf"^{path} is damaged \(.+\): restore it with git$"):
        stored([entry], "smoke")
    path.write_text('{"torch": "2.0"}')
    assert "1 frozen records, made at unknown with torch 2.0" in stored([entry], "smoke").said


def test_beyond_smoke_lines_of_other_code_or_torch_are_left_and_that_is_said(tmp_path, monkeypatch):
    """Bits differ by machine there, so that none can vouch for the rest by being trained again."""
    entries = [e for e in panel.baseline_entries(panel.load(), "smoke") if e.label == "Static"][:3]
    ours, other, new = entries
    code = code_of(ours.run)
    monkeypatch.setattr("resparse.frozen.lines.ROOT", tmp_path)
    file = frozen_file("compare/panel", "mini")
    file.parent.mkdir(parents=True)
    made = ((ours, code), (other, "other"))
    lines = [{"key": entry.run.key, "fingerprint": by, **ENDED} for entry, by in made]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    facts = {"git_sha": "0123456789abcdef", "torch": torch.__version__}
    file.with_suffix(".provenance.json").write_text(json.dumps(facts))
    found = stored([ours, other, new], "mini")
    assert (found.lines.keys(), list(found.again)) == ({ours.run.key}, [])
    assert found.said.startswith("1 frozen records, made at 0123456789ab with torch")
    assert found.said.endswith(
        "; 2 runs of this store; 1 frozen records left, of other code or torch"
    )
    file.with_suffix(".provenance.json").write_text('{"torch": "2.0"}')
    found = stored([ours, other, new], "mini")
    assert (found.lines, list(found.again)) == ({}, [])
    assert found.said == "3 runs of this store; 2 frozen records left, of other code or torch"


def test_every_baseline_of_the_panel_as_it_is_has_its_frozen_line():
    entries = panel.baseline_entries(panel.load(), "smoke")
    frozen = {line["key"] for line in frozen_lines("compare/panel", "smoke")}
    assert {entry.run.key for entry in entries} == frozen
    assert len(frozen) == 780


def test_rows_of_a_table_are_no_tries_of_the_panel(tmp_path):
    """Half of the panel is no try of one of the suite's methods, but one of a file."""
    found = panel.load()
    level = found.level("smoke")
    problems = panel.problems(level.workloads)
    hashes = panel.images(problems, None)
    store = RunStore(tmp_path)
    for sha256, counted in (("", 1), ("0" * 64, 2)):
        how = {"sparsities": [0.9, 0.95], "seeds": [0]}
        method = "set" if not sha256 else "mine"
        if sha256:
            registry.add("mine", written(tmp_path / "mine.py"))
        entrant = panel.Entrant(
            label=method, method=method, distribution="erk", method_sha256=sha256
        )
        ours = panel.entries(entrant, level, problems, hashes, **how)
        half = dataclasses.replace(ours[0].run, distribution="uniform")
        begin(store, half)
        assert tried(store, ours) == counted
        # on other data, or at another density, it is no try at all
        for change in ({"density": 0.5}, {"dataset": "imagenet"}):
            other = dataclasses.replace(half, fields=half.fields | {"alpha": 0.7}, **change)
            begin(store, other)
        assert tried(store, ours) == counted


def begin(store, run):
    """A run that was started, no more."""
    store.folder(run).path.mkdir()
    store.folder(run).begin(run.config, "code")


def written(file):
    file.write_text(MINE)
    return file
