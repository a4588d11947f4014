"""The command `regression` in a checkout of its own: as frozen, then with faults put into it."""

import contextlib
import dataclasses
import io
import json

import checkout
import pytest

from resparse import workloads
from resparse.__main__ import main
from resparse.frozen import retrain

PANEL = """
[panel]
title = "t"
sparsities = [0.5]
distribution = "erk"
margin_pp = 0.5
margin_reason = "none"

[levels.smoke]
workloads = ["digits_mlp"]
seeds = [0, 1, 2, 3, 4, 5, 6, 7]
shows = "nothing"

[levels.mini]
workloads = ["digits_mlp"]
seeds = [0, 1, 2, 3]
recipe = { epochs = 2 }
shows = "nothing"

[[baseline]]
label = "SET"
method = "set"
distribution = "erk"
fields = { interval = 9 }
"""
EPOCHS = "epochs=50,"
LR = "base=recipe.lr,"


def edit(path, old, new):
    """Replace ``old`` wherever it stands in a file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def here(folder, *arguments):
    """Exit code and output of a command of this process on ``folder``, whose code is as ours."""
    known = workloads.workload("digits_mlp")
    short = dataclasses.replace(known, recipe=known.recipe.changed({"epochs": 4}))
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as said:
        checkout.use(folder, patch)
        patch.setitem(workloads.WORKLOADS, "digits_mlp", short)  # as the file says there
        with contextlib.redirect_stderr(said):
            return main([*arguments, "--workers", "1"]), said.getvalue()


def resparse(folder, *arguments):
    """The same by the code in ``folder``."""
    process = checkout.python(folder, "-m", "resparse", *arguments, "--workers", "1")
    out, errors = process.communicate(timeout=300)
    return process.returncode, out + errors


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    """A checkout whose panel is SET on a small MLP for a few epochs, frozen."""
    folder = checkout.tiny_checkout(tmp_path_factory.mktemp("panel"), rows=["Static"], epochs=1)
    (folder / "benchmarks" / "compare" / "panel.toml").write_text(PANEL)
    edit(folder / "resparse" / "workloads.py", EPOCHS, "epochs=4,")
    checkout.commit(folder)
    code, said = here(folder, "freeze", "compare/panel")
    assert code == 0, said
    return folder


def test_what_is_frozen_is_identical_and_the_store_is_gone(frozen):
    code, said = here(frozen, "regression")
    assert code == 0, said
    assert "SET, digits_mlp, sparsity 0.5: IDENTICAL: identical in 3 seeds" in said
    assert "1 row retrained with 3 seeds each: 1 identical, 0 regressions" in said
    assert "3 runs, 0 already done, 3 to train" in said
    assert list((frozen / "runs").iterdir()) == []


@pytest.mark.fault
@pytest.mark.long
def test_half_the_learning_rate_in_the_trainer_is_a_regression(frozen):
    trainer = frozen / "resparse" / "trainer.py"
    edit(trainer, LR, "base=recipe.lr / 2,")
    try:
        code, said = resparse(frozen, "regression", "--json")
    finally:
        edit(trainer, "base=recipe.lr / 2,", LR)
    assert code == 1, said
    (row,) = json.loads(said)["rows"]
    assert (row["row"], row["workload"], row["sparsity"]) == ("SET", "digits_mlp", 0.5)
    assert (row["verdict"], row["regression"]) == ("DEVIATES low", True)
    assert row["difference"] < -row["smallest_visible_drop"]
    assert row["p"] < 0.05


def test_another_level_has_frozen_records_of_its_own(frozen):
    """None: exit code 4 and the command that makes them. Then a drop is in the table, first."""
    code, said = here(frozen, "regression", "--level", "mini", "--seeds", "2")
    assert code == 4
    assert "level mini of the panel has no frozen records" in said
    assert "nox -s freeze -- compare/panel --level mini" in said
    checkout.commit(frozen)
    code, said = here(frozen, "freeze", "compare/panel", "--level", "mini")
    assert code == 0, said
    file = frozen / "baselines" / "frozen" / "compare" / "panel-mini.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["seed"] for line in lines] == [0, 1, 2, 3]
    facts = json.loads(file.with_suffix(".provenance.json").read_text())
    assert facts["command"] == "nox -s freeze -- compare/panel --level mini"
    page = frozen / "found.md"
    mini = ("regression", "--level", "mini", "--seeds", "2", "--markdown", str(page))
    code, said = here(frozen, *mini)
    assert code == 0, said
    assert "IDENTICAL: identical in 2 seeds" in said
    assert page.read_text().splitlines()[0] == (
        "1 row of the panel at level mini, 2 seeds each: 0 regressions"
    )
    for line in lines:
        line["outcome"]["updates"] += 1
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, said = here(frozen, *mini)
    assert code == 1, said
    row = page.read_text().splitlines()[-1]
    assert row.startswith("| SET | digits_mlp | 0.5 | **MISMATCH** | ")
    assert "exact value changed: updates is" in row


@pytest.mark.parametrize(
    "given", ["--level mini", "--device cuda", "--data-root /tmp", "--markdown x.md --seeds 2"]
)
def test_golden_has_no_options_of_the_panel(frozen, given):
    code, said = here(frozen, "regression", "--golden", *given.split())
    assert code == 5
    assert "on the CPU; valid: without --" in said
    for option in given.split()[::2]:
        assert option in said.split("valid: ")[1]


def test_a_table_that_cannot_be_written_is_said_before_anything_trains(frozen, monkeypatch):
    monkeypatch.setattr(retrain, "train", lambda *given, **how: pytest.fail("it trained"))
    (frozen / "closed").write_text("a file")
    code, said = here(frozen, "regression", "--markdown", str(frozen / "closed" / "found.md"))
    assert code == 4
    assert f"output folder {frozen / 'closed'} cannot be written: " in said
    for none in ("", str(frozen), f"{frozen}/new/"):
        code, said = here(frozen, "regression", "--markdown", none)
        assert code == 5
        assert "valid: a file, not a folder" in said


def test_what_an_interrupted_one_left_is_of_its_device():
    assert retrain.store_name([], "cpu") != retrain.store_name([], "cuda")
