"""Committed records: what is written is read, what was changed by hand is refused by its line."""

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import make_run, train_to
from recorded import made_record, outcome

from resparse import artifact, data, kept, reproduce
from resparse.__main__ import main
from resparse.asked import Options
from resparse.errors import RunFailed
from resparse.evidence import Outcome
from resparse.files import canonical, sha256
from resparse.how import How
from resparse.reading import read
from resparse.record import RunStore

RUNS = [make_run("static", seed=seed) for seed in range(3)]


def signed(value):
    """A line whose hash is right, whatever the record says."""
    return canonical({"record": value, "sha256": sha256(canonical(value))}) + "\n"


@pytest.fixture
def path(tmp_path):
    """A file of three records."""
    file = kept.file(tmp_path, "itop", "smoke")
    kept.merge(file, [made_record(run, 90.0 + run.seed) for run in RUNS])
    return file


def test_what_is_merged_is_read_and_sorted_by_key(path):
    found = kept.read(path)
    assert list(found.records) == sorted(run.key for run in RUNS)
    assert [found.record(run) for run in RUNS] == [made_record(r, 90.0 + r.seed) for r in RUNS]
    assert found.record(make_run("static", seed=9)) is None
    assert found.datasets == {"digits": "0" * 64}
    lines = path.read_text().splitlines()
    assert [set(json.loads(line)) for line in lines] == [{"record", "sha256"}] * 3
    assert kept.levels(path.parents[2], "itop") == ["smoke"]


def test_no_file_is_no_records(tmp_path):
    assert kept.read(tmp_path / "none.jsonl").records == {}
    assert kept.levels(tmp_path, "itop") == []


def test_merging_replaces_the_same_key_and_keeps_the_others(path):
    before = path.read_text().splitlines()
    kept.merge(path, [made_record(RUNS[1], 12.0), made_record(make_run("static", seed=3))])
    found = kept.read(path)
    assert found.record(RUNS[1]).outcome["top1_last"] == 12.0
    assert len(found.records) == 4
    assert len(set(before) & set(path.read_text().splitlines())) == 2
    kept.merge(path, [])
    assert kept.read(path).records == found.records


def edit(number, change):
    """A vandal that changes one line (from 1) and says which line is at fault."""

    def vandalise(path):
        lines = path.read_text().splitlines(keepends=True)
        lines[number - 1] = change(lines[number - 1])
        path.write_text("".join(lines))
        return number

    return vandalise


def rewritten(**changes):
    """Fields of the record changed, its hash made right again."""
    return edit(2, lambda line: signed(json.loads(line)["record"] | changes))


def given_twice(path):
    path.write_text(path.read_text() + path.read_text().splitlines(keepends=True)[0])
    return 4


@pytest.mark.parametrize(
    ("vandal", "said"),
    [
        (edit(2, lambda line: line.replace("90.0", "99.0").replace("91.0", "99.0")), "its sha256"),
        (edit(3, lambda line: line[:200]), "torn"),
        (edit(1, lambda line: line[:200] + "\n"), "no record"),
        (edit(2, lambda line: "[]\n"), "not {"),
        (edit(2, lambda line: "\n"), "no record"),
        (edit(2, lambda line: line.replace('"top1_last":9', '"top1_last":NaN,"a":9')), "no record"),
        (rewritten(schema=7), "schema 7; this version reads 1"),
        (rewritten(key="0" * 16), "does not belong to its configuration"),
        (rewritten(status="fine"), "status 'fine'; valid: completed, diverged, collapsed"),
        (rewritten(outcome=outcome(191.0)), "top1_last = 191.0"),
        (rewritten(outcome={}), "outcome: top1_last is missing"),
        (given_twice, "is given twice"),
    ],
)
def test_a_line_that_is_not_as_written_is_refused_by_its_number(path, vandal, said):
    number = vandal(path)
    before = path.read_bytes()
    for reading in (kept.read, lambda file: kept.merge(file, [made_record(RUNS[0])])):
        with pytest.raises(RunFailed) as caught:
            reading(path)
        assert str(caught.value).startswith(f"{path}:{number}: ")
        assert said in str(caught.value)
        assert "restore the file with git, or move it away" in str(caught.value)
    assert path.read_bytes() == before


def test_two_versions_of_a_dataset_are_refused(path):
    other = made_record(dataclasses.replace(RUNS[0], dataset_sha256="1" * 64))
    with pytest.raises(RunFailed, match=r"two versions of digits \(0{12}.*1{12}.*valid: one"):
        kept.merge(path, [other])
    assert len(kept.read(path).records) == 3


def test_the_outcome_of_a_training_has_no_key_that_is_not_known(tmp_path):
    """Else its record, merged, would be refused when it is read."""
    found = train_to(tmp_path, make_run("set_itop", steps=3))[2]
    assert read(Outcome, found, "outcome").top1_last == found["top1_last"]


def test_those_that_merge_at_once_lose_nothing(path):
    """The lock is of the open folder: two threads are to it what two processes are."""
    runs = [make_run("static", seed=seed) for seed in range(100, 140)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda run: kept.merge(path, [made_record(run)]), runs))
    assert len(kept.read(path).records) == 3 + 40


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory):
    """A whole table from a store: Table 2 at smoke, two seeds, with the tickets' parents."""
    place = tmp_path_factory.mktemp("table2")
    table = artifact.load("itop/table2")
    images = data.load("digits", None)
    runs = {}
    for item in artifact.plan(table, "smoke", images.sha256, seeds=[0, 1]):
        runs |= {run.key: run for run in (item.run, item.run.parent) if run}
    for run in runs.values():
        folder = RunStore(place / "runs").folder(run)
        folder.path.mkdir(parents=True)
        folder.commit(made_record(run, 99.0), [])  # no drop
    return place, table, runs


def test_a_whole_table_leaves_its_records_and_those_of_parents(reproduced, capsys):
    place, table, runs = reproduced
    where = ["--runs", str(place / "runs"), "--out", str(place / "reports")]
    assert main(["reproduce", table.id, "--from-records", *where]) == 0
    path = kept.file(place / "reports", "itop", "smoke")
    assert str(path) in capsys.readouterr().out
    assert kept.read(path).records.keys() == runs.keys()
    assert any(run.parent for run in runs.values())
    for run in runs.values():
        assert kept.read(path).record(run) == RunStore(place / "runs").record(run)


def test_a_part_of_a_table_leaves_none(reproduced):
    place, table, _ = reproduced
    where = ["--runs", str(place / "runs"), "--out", str(place / "part")]
    assert main(["reproduce", table.id, "--from-records", "--sparsity", "0.9", *where]) == 0
    assert not (place / "part").exists()


def test_damaged_records_are_refused_before_anything_trains(reproduced, capsys):
    place, table, _ = reproduced
    path = kept.file(place / "damaged", "itop", "smoke")
    path.parent.mkdir(parents=True)
    path.write_text("{}\n")
    where = ["--runs", str(place / "none"), "--out", str(place / "damaged")]
    assert main(["reproduce", table.id, *where]) == 2
    assert f"{path}:1: no record" in capsys.readouterr().err
    assert not (place / "none").exists()


def test_what_is_committed_is_not_trained_again(monkeypatch, tmp_path):
    planned = artifact.plan(artifact.load("itop/table1"), "smoke", "unread", seeds=[0])
    first = planned[0].run
    known = reproduce.Known(RunStore(tmp_path), {first.key: made_record(first)})
    trained = []
    monkeypatch.setattr(reproduce, "run_all", lambda todo, *_, **__: trained.extend(todo) or {})
    options = Options(name="itop/table1", runs=tmp_path, json=True)
    assert reproduce._train(planned, known, How(), options) == {}
    assert {run.key for run in trained} == {p.run.key for p in planned} - {first.key}
    assert known.record(first) == known.committed[first.key]
    assert known.record(planned[1].run) is None


def test_what_other_code_made_is_trained_again_and_gives_way(tmp_path):
    run = artifact.plan(artifact.load("itop/table1"), "smoke", "unread", seeds=[0])[0].run
    old, new = made_record(run, fingerprint="f" * 16), made_record(run)
    folder = RunStore(tmp_path).folder(run)
    folder.path.mkdir(parents=True)
    folder.commit(old, [])
    assert not reproduce.Known(RunStore(tmp_path), {run.key: old}).is_done(run)
    assert reproduce.Known(RunStore(tmp_path), {}).record(run) == old
    assert reproduce.Known(RunStore(tmp_path), {run.key: new}).record(run) == new


def test_smoke_is_always_trained(monkeypatch, reproduced):
    place, table, _ = reproduced
    seen = []
    monkeypatch.setattr(reproduce, "_train", lambda _, known, *__: seen.append(known) or {})
    where = ["--runs", str(place / "runs"), "--out", str(place / "again"), "--json"]
    for _ in range(2):  # the second time its records are there
        assert main(["reproduce", table.id, *where]) == 0
    assert kept.read(kept.file(place / "again", "itop", "smoke")).records
    assert [known.committed for known in seen] == [{}, {}]
