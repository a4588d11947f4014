"""resparse explain: a run of the store or of the frozen baselines, in words and as JSON."""

import json

import pytest
from conftest import make_run
from test_resolve import METHOD, WORKLOAD, forget, written

import resparse
from resparse import artifact, data, models, registry, worker, workloads
from resparse.__main__ import main
from resparse.errors import UsageError
from resparse.record import Recipe, RunStore
from resparse.status import explanation, lookup
from resparse.status.explanation import Explained, recipe_of

__all__ = ["forget"]  # a fixture for this file as well

FROZEN = artifact.ROOT / "baselines" / "frozen"
PANEL = FROZEN / "compare" / "panel-smoke.jsonl"


def line_of(path, **values):
    """The first frozen line of ``path`` with these values."""
    lines = (json.loads(text) for text in path.read_text().splitlines())
    return next(line for line in lines if values.items() <= line.items())


def explained(capsys, *arguments, code=0):
    """What the command prints, on stdout or, where it fails, on stderr."""
    assert main(["explain", *map(str, arguments)]) == code
    out, err = capsys.readouterr()
    assert [bool(out), bool(err)] == [code == 0, code != 0]
    return out or err


def said(text):
    """name -> what is said of it, of the indented lines."""
    lines = [line for line in text.splitlines() if line.startswith("  ")]
    return {line[2:15].strip(): line[15:] for line in lines if line[2:4] != "in"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(store, record) of one short run whose method and workload are files."""
    folder = tmp_path_factory.mktemp("explain")
    method, workload = written(folder / "mine.py", METHOD), written(folder / "wide.py", WORKLOAD)
    runs, how = folder / "runs", {"recipe": {"epochs": 1}, "test_every_epoch": True}
    with pytest.MonkeyPatch.context() as monkeypatch:  # what it adds is forgotten again
        for module in (registry, workloads, models, data):
            monkeypatch.setattr(module, "_outside", {})
        record = resparse.run(str(method), workload=str(workload), runs=runs, density=0.25, **how)
    return RunStore(runs), record


def test_a_run_of_the_store_in_words(trained, capsys):
    store, record = trained
    text = explained(capsys, record.key, "--runs", store.root)
    assert len(text.splitlines()) <= 30
    assert text.splitlines()[:2] == [
        f"run {record.key}, {record.status}" + f": {record.reason}" * bool(record.reason),
        f"  in {store.root / record.key}",
    ]
    found, outcome, facts = said(text), record.outcome, record.provenance
    assert found["method"] == "mine, from a file"
    assert found["fields"] == "number = 3, order = replace"
    assert found["network"] == "wide on wide, from a file; portable numerics"
    assert found["density"] == "0.25, erk (sparsity 0.75)"
    assert found["recipe"] == "14 steps of 64 images, lr 0.1 (cosine), momentum 0.9"
    assert found["seed"] == "0"
    assert found["top-1"] == f"{outcome['top1_last']:.2f} % at the last step"
    assert found["best of val"] == f"{outcome['top1_best_val']:.2f} % at epoch 1, by validation"
    assert found["best of test"].startswith(f"{outcome['top1_best_test']:.2f} % at epoch 1, on the")
    assert found["R_s"] == "0.2500, trained 0.2500"
    assert found["weights"] == "296 of 1,184 maskable (0.2500), 1,210 in all"  # 64 x 16 + 16 x 10
    assert found["train FLOPs"].startswith("0.2500 x dense (")
    assert found["mask updates"] == "0"
    assert found["device"] == f"cpu, threads 1, CPU code DEFAULT, {facts['determinism']}"
    assert found["wall time"] == f"{facts['wall_s']:.1f} s"
    assert found["git sha"].startswith(facts["git_sha"])
    assert found["command"] == facts["command"]
    assert found["fingerprint"] == f"{record.fingerprint}; today's code is the same"


def test_the_json_is_the_record(trained, capsys):
    store, record = trained
    asked = (record.key[:6], "--json", "--runs", store.root)
    assert json.loads(explained(capsys, *asked)) == json.loads(json.dumps(vars(record)))


def test_other_code_and_code_that_is_gone_are_said(trained, capsys, monkeypatch):
    store, record = trained
    asked = (record.key, "--runs", store.root)
    monkeypatch.setattr(explanation, "code_of", lambda run, root: "f" * 16)
    found = said(explained(capsys, *asked))
    assert found["fingerprint"] == f"{record.fingerprint}; today's is {'f' * 16}"
    monkeypatch.setattr(explanation, "code_of", worker.code_of)
    copy = next((store.root / "methods").glob("mine-*.py"))
    kept = copy.read_text()
    copy.unlink()
    found = said(explained(capsys, *asked))
    assert f"today's cannot be told ({copy} is not the file" in found["fingerprint"]
    written(copy, kept)


def test_a_frozen_baseline_by_its_key_or_the_start_of_it(tmp_path, capsys):
    line = line_of(PANEL, row="RigL", workload="digits_mlp", sparsity=0.95, seed=3, length=1.0)
    begun = line["key"][:8]
    text = explained(capsys, begun, "--runs", tmp_path)
    assert len(text.splitlines()) <= 30
    assert text.splitlines()[:2] == [f"run {line['key']}, completed", f"  in {PANEL}, row RigL"]
    found, facts = said(text), json.loads(PANEL.with_suffix(".provenance.json").read_text())
    assert found["method"] == "rigl"
    assert "alpha = 0.3" in found["fields"]
    assert found["network"] == "mlp_small on digits; portable numerics"
    assert found["workload"] == "digits_mlp, length 1"
    assert found["density"] == "0.05, erk (sparsity 0.95)"
    assert found["recipe"].startswith("700 steps of 64 images, lr 0.1 (cosine), momentum 0.9 (ne")
    assert found["seed"] == "3"
    assert found["top-1"] == f"{line['outcome']['top1_last']:.2f} % at the last step"
    assert found["R_s"].startswith(f"{line['outcome']['rs']:.4f}")
    assert found["wall time"] == "not kept"
    assert found["git sha"] == facts["git_sha"]
    assert found["fingerprint"].startswith(f"{line['fingerprint']}; today's")

    value = json.loads(explained(capsys, begun, "--json", "--runs", tmp_path))
    assert line.items() <= value.items()
    assert (value["frozen_in"], value["provenance"]) == (str(PANEL), facts)
    assert value["config"]["seed"] == 3


def test_a_frozen_run_of_a_table_names_its_parent(tmp_path, capsys):
    path = FROZEN / "itop" / "table2-smoke.jsonl"
    lines = map(json.loads, path.read_text().splitlines())
    line = next(x for x in lines if x["outcome"]["train_flops"]["parent"] and x["seed"] == 1)
    found = said(explained(capsys, line["key"], "--runs", tmp_path))
    assert lookup.frozen()[line["key"]].name == "itop/table2"
    assert "), from its weights at step" in found["parent"]
    assert "workload" not in found


def small(folder, monkeypatch, lines, of="old/table-smoke"):
    """Make these the only frozen lines, by default of a table that no plan makes."""
    path = folder / "baselines" / "frozen" / f"{of}.jsonl"
    written(path, "".join(json.dumps(line) + "\n" for line in lines))
    written(path.with_suffix(".provenance.json"), '{"torch": "2.0", "git_dirty": true}')
    for module in ("resparse.status.lookup.ROOT", "resparse.frozen.lines.ROOT"):
        monkeypatch.setattr(module, folder)
    return path


def test_a_frozen_line_that_no_plan_makes_says_what_it_knows(tmp_path, capsys, monkeypatch):
    line = line_of(PANEL, row="RigL", seed=3)
    path = small(tmp_path, monkeypatch, [line])
    found = said(explained(capsys, line["key"], "--runs", tmp_path))
    assert found["row"] == "RigL"
    assert found["configuration"] == "not known: today's plan makes no run of this key"
    assert found["git sha"] == "unknown, with uncommitted changes"
    assert found["fingerprint"].endswith("; whether today's code is the same is not known")

    (tmp_path / line["key"]).mkdir()
    text = explained(capsys, line["key"], "--runs", tmp_path)
    assert text.splitlines()[1:3] == [
        f"  in {path}, row RigL",
        f"  in {tmp_path / line['key']} (unfinished there)",
    ]


def test_a_run_that_is_in_both_places_names_both(trained, tmp_path, capsys, monkeypatch):
    store, record = trained
    line = {"key": record.key, "row": "Mine", "status": "completed", "outcome": record.outcome}
    for rs, words in ((record.outcome["rs"], "every number equal"), (0.5, "other numbers")):
        line["outcome"] = record.outcome | {"rs": rs}
        path = small(tmp_path, monkeypatch, [line])
        text = explained(capsys, record.key, "--runs", store.root)
        assert text.splitlines()[2] == f"  in {path} ({words})"


def test_the_start_of_a_key_must_be_that_of_one(tmp_path, monkeypatch):
    store = RunStore(tmp_path / "runs")
    keys = ["abcdef0000000000", "abcdef1000000000"]
    (store.root / keys[0]).mkdir(parents=True)
    small(tmp_path, monkeypatch, [{"key": keys[1], "status": "completed", "outcome": {}}])
    stored = lookup.frozen()
    assert lookup.whole_key("abcdef0", store, stored) == keys[0]
    assert lookup.whole_key("abcdef1", store, stored) == keys[1]
    assert lookup.whole_key(keys[1], store, stored) == keys[1]
    assert lookup.whole_key(f"2:{keys[1]}", store, stored) == keys[1]
    with pytest.raises(UsageError, match=f"^run 'abcdef': {', '.join(keys)} begin so; valid: more"):
        lookup.whole_key("abcdef", store, stored)


@pytest.mark.parametrize(
    "given", ["55aa1", "0123456789abcdef", "55AA17131CCAD65A", "../55aa17", ""]
)
def test_an_unknown_key_names_both_places(given, tmp_path, capsys):
    error = explained(capsys, given, "--runs", tmp_path, code=5)
    assert error == (
        f"resparse: no run {given!r} in {tmp_path} or {FROZEN}; valid: a key, 16 hex digits, as "
        "there, or its first 6 or more\n"
    )


def test_a_ticket_names_what_it_starts_from():
    run = make_run("ltr")
    found = dict(explanation.trained(Explained(places=[], run=run, json={})))
    assert found["parent"] == f"{run.parent.key} (gmp), from its weights at step 6"
    first = dict(explanation.trained(Explained(places=[], run=make_run("lth"), json={})))
    assert first["parent"].endswith("its initialisation")


def test_the_whole_of_a_recipe():
    recipe = Recipe(
        batch_size=4096, steps=32_000, lr=1.6, lr_shape="steps", lr_drops=(9384, 21897),
        warmup=1564, nesterov=True, weight_decay=1e-4, label_smoothing=0.1,
    )  # fmt: skip
    assert recipe_of(recipe) == (
        "32,000 steps of 4096 images, lr 1.6 (steps, x 0.1 at step 9384, 21897), momentum 0.9 "
        "(nesterov), weight decay 0.0001, label smoothing 0.1, warmup 1564 steps"
    )


def test_a_frozen_line_whose_plan_needs_images_that_are_not_here_says_so(
    tmp_path, capsys, monkeypatch
):
    line = line_of(PANEL, row="RigL", seed=3)
    small(tmp_path, monkeypatch, [line], "compare/panel-mini")
    for place in ("RESPARSE_DATA", "RESPARSE_PREPARED"):
        monkeypatch.delenv(place, raising=False)
    found = said(explained(capsys, line["key"], "--runs", tmp_path))
    assert found["configuration"].startswith("not known: today's plan cannot be made here: ")
    assert "RESPARSE_DATA" in found["configuration"]
    monkeypatch.setenv("RESPARSE_DATA", str(tmp_path / "nowhere"))
    found = json.loads(explained(capsys, line["key"], "--json", "--runs", tmp_path))
    assert found["config"] is None
    assert "cannot be made here" in found["config_unknown"]
    assert "nowhere" in found["config_unknown"]
