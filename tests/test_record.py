"""Keys, records, the run store: what is committed verifies, what was changed is refused."""

import dataclasses
import json
import os
import platform
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import make_run

from resparse.errors import RunFailed
from resparse.files import write_atomic
from resparse.fingerprint import fingerprint
from resparse.record import Recipe, Record, Run, RunFolder, RunStore

ROOT = Path(__file__).resolve().parents[1]
RUN = Run(
    model="resnet8", dataset="digits", dataset_sha256="ab" * 32, method="set",
    fields={"alpha": 0.3, "interval": 25}, distribution="erk", density=0.1, seed=0,
    recipe=Recipe(batch_size=64, steps=30, lr=0.1, lr_shape="steps", lr_drops=(10, 20)),
    precision="portable", snapshots=(5,),
)  # fmt: skip
KEY = "67c92afe718a3fa4"  # changes only with what a Run holds: then no old record is found


def other(value):
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, dict):
        return value | {"alpha": 0.4}
    if isinstance(value, tuple):
        return (*value, 99)
    return RUN if value is None else value + ("x" if isinstance(value, str) else 1)


def test_the_key_is_stable_also_across_order_and_copies():
    assert RUN.key == KEY
    assert dataclasses.replace(RUN, fields={"interval": 25, "alpha": 0.3}).key == KEY


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Run) if f.name != "recipe"])
def test_every_field_of_a_run_changes_its_key(name):
    changed = dataclasses.replace(RUN, **{name: other(getattr(RUN, name))})
    assert changed.key != KEY
    assert Run.from_config(changed.config) == changed


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Recipe)])
def test_every_field_of_a_recipe_changes_the_key(name):
    recipe = dataclasses.replace(RUN.recipe, **{name: other(getattr(RUN.recipe, name))})
    assert dataclasses.replace(RUN, recipe=recipe).key != KEY


@pytest.mark.parametrize("run", [RUN, make_run("dense"), make_run("ltr")], ids=lambda r: r.method)
def test_from_config_is_the_inverse_also_through_json(run):
    again = Run.from_config(json.loads(json.dumps(run.config)))
    assert again == run
    assert again.key == run.key


def test_a_parents_change_changes_the_childs_key():
    child = make_run("ltr")
    parent = dataclasses.replace(child.parent, seed=7)
    assert dataclasses.replace(child, parent=parent).key != child.key


def record_of(run, **changes):
    record = Record(
        key=run.key, config=run.config, fingerprint="f" * 16, status="completed", reason="",
        outcome={"top1_last": 91.5}, curves={"val_top1": [50.0]}, provenance={"torch": "x"},
    )  # fmt: skip
    return dataclasses.replace(record, **changes)


@pytest.fixture
def store(tmp_path):
    """A store with one committed run."""
    store = RunStore(tmp_path / "runs")
    folder = store.folder(RUN)
    with folder.lock():
        write_atomic(folder.path / "final.safetensors", b"weights")
        (folder.path / "checkpoint-000000005").mkdir()
        write_atomic(folder.path / "checkpoint-000000005" / "state.json", "{}")
        folder.commit(record_of(RUN), ["final.safetensors"])
    return store


def test_a_committed_run_is_found_and_verifies(store):
    folder = store.folder(RUN)
    assert folder.committed
    assert folder.path.name == KEY
    folder.verify()
    record = store.record(RUN)
    assert record == record_of(RUN)
    assert record.run == RUN
    assert not list(folder.path.glob("checkpoint-*"))


@pytest.mark.fault
def test_a_run_without_marker_is_not_committed(store):
    (store.folder(RUN).path / "COMMITTED").unlink()
    assert store.record(RUN) is None
    assert store.record(dataclasses.replace(RUN, seed=5)) is None


@pytest.mark.fault
def test_the_marker_is_written_last(store, monkeypatch):
    run = dataclasses.replace(RUN, seed=1)
    folder = store.folder(run)
    folder.path.mkdir()
    with pytest.raises(FileNotFoundError):
        folder.commit(record_of(run), ["final.safetensors"])  # which is not there
    assert not folder.committed


@pytest.mark.fault
@pytest.mark.parametrize("name", ["record.json", "final.safetensors"])
@pytest.mark.parametrize("how", ["edited", "deleted"])
def test_a_changed_or_deleted_file_is_refused_and_named(how, name, store):
    path = store.folder(RUN).path / name
    if how == "edited":
        path.write_bytes(path.read_bytes().replace(b"91.5", b"99.5") + b" ")
    else:
        path.unlink()
    with pytest.raises(RunFailed, match=rf"{name} is not what was committed .*; move .* away"):
        store.record(RUN)


@pytest.mark.fault
@pytest.mark.parametrize("text", ["", '{"record.json": "', "{}"])
def test_a_damaged_marker_is_refused(text, store):
    (store.folder(RUN).path / "COMMITTED").write_text(text)
    with pytest.raises(RunFailed):
        store.record(RUN)


BAD = {
    "schema": (lambda v: v | {"schema": 99}, "record schema 99; this version reads 1"),
    "no schema": (lambda v: {k: x for k, x in v.items() if k != "schema"}, "record schema None"),
    "key": (lambda v: v | {"key": "0" * 16}, f"0000 does not belong to its .* .{KEY}.$"),
    "config": (lambda v: v | {"config": v["config"] | {"seed": 3}}, f"record {KEY} does not bel"),
    "field": (lambda v: v | {"extra": 1}, "wrong fields: .*extra"),
    "missing": (lambda v: {k: x for k, x in v.items() if k != "status"}, "wrong fields: .*status"),
    "run": (lambda v: v | {"config": v["config"] | {"extra": 1}}, "wrong fields: .*extra"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_record_that_does_not_fit_is_refused(case):
    change, message = BAD[case]
    value = json.loads(json.dumps(dataclasses.asdict(record_of(RUN))))
    assert Record.from_json(value) == record_of(RUN)
    with pytest.raises(RunFailed, match=message):
        Record.from_json(change(value))
    with pytest.raises(RunFailed, match="a JSON object, not list"):
        Record.from_json([value])


HOLD = """
import signal, sys
from pathlib import Path
from resparse.record import RunFolder
with RunFolder(Path(sys.argv[1])).lock():
    print("held", flush=True)
    signal.pause()
"""


def hold(folder):
    """Wait for the lock, let go of it at once."""
    with folder.lock(wait=True):
        return "held"


@pytest.mark.fault
def test_a_lock_names_its_holder_and_dies_with_it(tmp_path):
    folder = RunFolder(tmp_path / "run")
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder.path)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    with (
        pytest.raises(RunFailed, match=rf"is being trained by process {child.pid} on \S+: "),
        folder.lock(),
    ):
        pass
    waited = []
    patient = threading.Thread(target=lambda: waited.append(hold(folder)))
    patient.start()
    patient.join(0.3)
    assert patient.is_alive()
    assert not waited
    child.kill()
    assert child.wait() == -signal.SIGKILL
    child.stdout.close()
    patient.join(10)
    assert waited == ["held"]
    with folder.lock():
        assert (folder.path / "lock").read_text() == f"{os.getpid()} on {platform.node()}"
        with pytest.raises(RunFailed, match=f"process {os.getpid()}"), folder.lock():
            pass
    with folder.lock():  # let go of when the block ends
        pass


def test_set_aside_keeps_every_file(store):
    source = store.folder(RUN).path
    files = {p.name: p.read_bytes() for p in source.iterdir()}
    target = store.set_aside(RUN, "stale")
    assert {p.name: p.read_bytes() for p in target.iterdir()} == files
    assert target.parent == store.root / "stale"
    assert target.name.startswith(f"{KEY}-stale-")
    assert not source.exists()
    assert store.record(RUN) is None


def test_events_are_json_lines(store):
    folder = store.folder(RUN)
    folder.event(event="one", step=1)
    folder.event(event="two")
    lines = [json.loads(x) for x in (folder.path / "events.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["one", "two"]
    assert all(line["time"] > 0 for line in lines)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"git_sha": "0123456789abcdef", "git_dirty": False}, "0123456789ab"),
        ({"git_sha": "0123456789abcdef", "git_dirty": True}, "0123456789ab + uncommitted changes"),
        ({"git_sha": "", "git_dirty": False}, "no commit"),
    ],
)
def test_where_a_record_was_made_names_uncommitted_changes(facts, words):
    record = Record(
        key=KEY, config=RUN.config, fingerprint="c", status="completed", reason="", outcome={},
        curves={}, provenance=facts,
    )  # fmt: skip
    assert record.made_at == words


CODE = '"""Doc."""\n\n\ndef f(x):\n    """Doc."""\n    return x + 1  # why\n'
SAME = [
    "def f(x): return (x+1)\n",
    CODE.replace("Doc", "Other").replace("# why", ""),
    "# a\n" + CODE,
]
DIFFERENT = [CODE.replace("1", "2"), CODE.replace("x + 1", "1 + x"), CODE + "y = 'Doc.'\n"]


def test_the_fingerprint_is_of_the_code_alone(tmp_path):
    path = tmp_path / "a.py"

    def of(text, name="a.py"):
        path.with_name(name).write_text(text)
        return fingerprint([path.with_name(name)])

    assert {of(text) for text in SAME} == {of(CODE)}
    assert len({of(text) for text in [CODE, *DIFFERENT]} | {of(CODE, "b.py")}) == 5
    both = [path, path.with_name("b.py")]
    assert fingerprint(both) == fingerprint(reversed(both)) != fingerprint(both[:1])
