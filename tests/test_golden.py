"""Golden numbers: the code still gives them; what is not equal, not there or dirty is said."""

import json

import checkout
import pytest
import torch
from conftest import METHODS

from resparse import golden, registry
from resparse.__main__ import main
from resparse.errors import Missing
from resparse.record import RunStore

VERSION = str(torch.__version__)
FEW = 25  # steps that are compared here, with two mask updates; the command compares all 50
MOVING = [name for name in METHODS if "interval" in registry.own_fields(registry.load(name))]
MADE = {"digits_mlp": {"set": ["start mask aa", "0 loss 0x1.8p+1", "1 loss 0x1.4p+1 mask bb"]}}


def committed():
    """The committed numbers of the torch that runs."""
    try:
        return golden.stored(VERSION)
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store in which parents are trained once."""
    return RunStore(tmp_path_factory.mktemp("golden"))


@pytest.mark.parametrize(
    ("method", "name"),
    [
        *((method, "digits_mlp") for method in METHODS),
        *((method, "digits_resnet8") for method in ("dense", "set", "rigl", "gmp")),
    ],
)
def test_first_steps_are_the_golden_ones(method, name, store):
    """Of convolutions some: `nox -s regression -- --golden` compares all, and runs in CI."""
    found = committed()[name]
    assert method in found, golden.WRITE
    assert golden.trace(name, method, store, FEW) == found[method][: 1 + FEW]


@pytest.mark.parametrize("method", MOVING)
def test_golden_masks_move_at_least_three_times_and_losses_follow(method):
    for name in golden.WORKLOADS:
        lines = committed()[name][method]
        assert len(lines) == 1 + golden.STEPS
        masks = [line.split(" mask ")[1] for line in lines if " mask " in line]
        assert len(set(masks)) > 3  # the last may equal the one before: its drop fraction is 0


def test_golden_schedules_reach_the_end_of_rigl_and_snfs():
    due = {
        method: [s for s in range(golden.STEPS) if registry.probe(
            method, golden.golden_run("digits_mlp", method).fields, golden.TOTAL).updates_at(s)]
        for method in ("rigl", "snfs", "gmp")
    }  # fmt: skip
    assert due == {"rigl": [9, 19, 29, 39], "snfs": [9, 19, 29, 39, 49], "gmp": [29, 39, 49]}


def test_golden_traces_come_from_processes_as_from_here(monkeypatch, store):
    monkeypatch.setattr(golden, "WORKLOADS", ("digits_mlp",))
    ours, failed = golden.traces(2, ["ltr", "set"])
    assert failed == {}
    assert ours == {"digits_mlp": {m: golden.trace("digits_mlp", m, store) for m in ("ltr", "set")}}
    assert ours["digits_mlp"]["ltr"][1].startswith("6 loss ")  # it starts where it rewinds to
    assert float.fromhex(ours["digits_mlp"]["set"][1].split()[2]) == pytest.approx(2.3, abs=0.5)


@pytest.fixture
def made(monkeypatch, tmp_path):
    """A function that stores numbers as golden, and makes today's code give MADE."""
    monkeypatch.setattr(golden, "ROOT", tmp_path)
    monkeypatch.setattr(golden, "traces", lambda workers, methods: (MADE, {}))

    def keep(numbers, version=VERSION):
        path = tmp_path / golden.FILE
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({version: numbers}))

    return keep


def golden_command(capsys, *more):
    """Exit code, stdout and stderr."""
    code = main(["regression", "--golden", *more])
    return code, *capsys.readouterr()


def test_equal_golden_numbers_are_fine(made, capsys):
    made(MADE)
    assert golden_command(capsys) == (0, "digits_mlp set: equal\n", "")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["start mask aa", "0 loss 0x1.9p+1", "1 loss 0x1.4p+1 mask bb"],
         "differs: 0 loss 0x1.8p+1, golden 0 loss 0x1.9p+1"),
        (["start mask aa", "0 loss 0x1.8p+1", "1 loss 0x1.4p+1 mask cc"],
         "differs: 1 loss 0x1.4p+1 mask bb, golden 1 loss 0x1.4p+1 mask cc"),
        (["start mask aa", "0 loss 0x1.8p+1"], "3 lines, golden 2"),
    ],
)  # fmt: skip
def test_the_first_step_that_differs_from_golden_is_named(lines, words, made, capsys):
    made({"digits_mlp": {"set": lines}})
    code, out, _ = golden_command(capsys)
    assert code == 1
    assert out.splitlines()[0] == f"digits_mlp set: {words}"
    assert golden.WRITE in out


def test_a_method_without_golden_numbers_fails_and_so_does_one_that_is_gone(made, capsys):
    made({"digits_mlp": {"rigl": MADE["digits_mlp"]["set"]}})
    code, out, _ = golden_command(capsys)
    assert code == 1
    assert "digits_mlp set: no golden for method set" in out
    assert "digits_mlp rigl: golden for method rigl, which is not in methods/" in out
    assert golden.WRITE in out


def test_a_method_that_raises_is_a_failed_run(made, monkeypatch, capsys):
    made(MADE)
    failed = {("digits_mlp", "set"): "RunFailed: method set, step 9: no"}
    monkeypatch.setattr(golden, "traces", lambda workers, methods: ({"digits_mlp": {}}, failed))
    code, out, _ = golden_command(capsys)
    assert code == 2
    assert "digits_mlp set: failed: RunFailed: method set, step 9: no" in out


def test_numbers_of_another_torch_are_no_silent_pass(made, capsys):
    made(MADE, "1.0.0")
    code, out, errors = golden_command(capsys)
    assert (code, out) == (4, "")
    assert f"no numbers of torch {VERSION}" in errors
    assert "1.0.0" in errors
    assert "nothing was compared" in errors


def test_json_of_golden(made, capsys):
    made(MADE)
    code, out, _ = golden_command(capsys, "--json")
    assert code == 0
    assert json.loads(out) == {"exit_code": 0, "golden": {"digits_mlp": {"set": "equal"}}}


def test_golden_is_written_from_a_clean_commit_only_and_other_versions_stay(
    tmp_path, monkeypatch, capsys
):
    folder = checkout.tiny_checkout(tmp_path / "checkout", rows=["Static"], epochs=1)
    path = folder / golden.FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"1.0.0": MADE}))
    head = checkout.commit(folder)
    checkout.use(folder, monkeypatch)
    monkeypatch.setattr(golden, "traces", lambda workers, methods: (MADE, {}))
    edited = folder / "methods" / "rigl.py"
    clean = edited.read_text()
    edited.write_text(clean + "# not committed\n")
    code, _, errors = golden_command(capsys, "--write")
    assert code == 5
    assert "uncommitted" in errors
    assert "methods/rigl.py" in errors
    assert json.loads(path.read_text()) == {"1.0.0": MADE}
    edited.write_text(clean)
    assert golden_command(capsys, "--write")[0] == 0
    assert json.loads(path.read_text()) == {"1.0.0": MADE, VERSION: MADE}
    facts = json.loads(path.with_suffix(".provenance.json").read_text())[VERSION]
    assert (facts["git_sha"], facts["git_dirty"], facts["torch"]) == (head, False, VERSION)
    assert facts["command"] == golden.WRITE


@pytest.mark.parametrize(
    "arguments", [["--golden", "--seeds", "2"], ["--golden", "--only", "SET"], ["--write"]]
)
def test_golden_options_that_would_be_ignored_are_refused(arguments, capsys):
    assert main(["regression", *arguments]) == 5
    assert "valid: " in capsys.readouterr().err
