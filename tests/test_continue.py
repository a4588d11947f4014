"""Kill a command anywhere, repeat it: the table is that of a command nobody killed."""

import contextlib
import io
import json
import os
import signal
import time

import checkout
import pytest

from resparse.__main__ import main

pytestmark = [pytest.mark.fault, pytest.mark.long]
ROWS = ["--only", "Static", "--only", "SET", "--sparsity", "0.9", "--seeds", "0"]
ARGUMENTS = ["reproduce", "itop/table2", *ROWS, "--workers", "1", "--json"]
OFTEN = """
import resparse.trainer
resparse.trainer.train.__kwdefaults__["checkpoint_s"] = 0.2
"""


def events(folder, method, name):
    """The steps (None where it has none) of a run's events of this name so far."""
    for manifest in folder.glob("*/manifest.json"):
        path, config = (
            manifest.with_name("events.jsonl"),
            json.loads(manifest.read_text())["config"],
        )
        if config["method"] == method and path.is_file():
            found = [json.loads(x) for x in path.read_text().splitlines() if x.endswith("}")]
            return [line.get("step") for line in found if line["event"] == name]
    return []


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """(folder, JSON of the repeated command, JSON of an uninterrupted one)."""
    folder = checkout.tiny_checkout(
        tmp_path_factory.mktemp("kill"), rows=["Static", "SET"], epochs=10
    )
    with (folder / "resparse" / "runner.py").open("a") as file:  # no code that decides numbers
        file.write(OFTEN)  # so that a short run has checkpoints too
    command = checkout.python(folder, "-m", "resparse", *ARGUMENTS, "--runs", "killed")
    try:  # the second run has a checkpoint after a mask update, so the first run is committed
        reached = [0]
        while max(reached) < 30:
            assert command.poll() is None, f"it ended by itself: {command.stderr.read()}"
            time.sleep(0.03)
            reached = [0, *events(folder / "killed", "set", "checkpoint")]
    finally:
        os.killpg(command.pid, signal.SIGKILL)  # with its workers
        command.communicate()
    assert command.returncode == -signal.SIGKILL
    assert not events(folder / "killed", "set", "finished")

    with pytest.MonkeyPatch.context() as monkeypatch:
        checkout.use(folder, monkeypatch)
        return folder, reproduced(folder / "killed"), reproduced(folder / "whole")


def reproduced(store):
    """The command's JSON."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        assert main([*ARGUMENTS, "--runs", str(store)]) == 0
    return json.loads(output.getvalue())


def test_the_repeated_command_gives_the_table_of_an_uninterrupted_one(tables):
    _, repeated, whole = tables
    assert repeated == whole
    assert [row["row"] for row in whole["rows"]] == ["Static", "SET"]
    for row in whole["rows"]:
        assert list(row["cells"]["top1_last"]["seeds"]) == ["0"]
        assert row["cells"]["top1_last"]["value"] > 20


def test_what_was_committed_is_not_trained_again_and_the_rest_continues(tables):
    folder, _, _ = tables
    assert len(events(folder / "killed", "static", "started")) == 1
    assert len(events(folder / "killed", "set", "started")) == 2
    (resumed,) = events(folder / "killed", "set", "resumed")
    assert resumed in events(folder / "killed", "set", "checkpoint")
    assert resumed >= 30
    assert events(folder / "whole", "set", "resumed") == []


def test_the_records_of_both_stores_have_the_same_outcomes(tables):
    folder, _, _ = tables
    outcomes = [
        {
            path.parent.name: (record["outcome"], record["curves"])
            for path in (folder / store).glob("*/record.json")
            for record in [json.loads(path.read_text())]
        }
        for store in ("killed", "whole")
    ]
    assert len(outcomes[0]) == 2
    assert outcomes[0] == outcomes[1]
