"""Every bad value in a table's files or on the command line: one sentence, before any training."""

import csv
import json
import re

import pytest

from resparse import artifact, data
from resparse.__main__ import main
from resparse.errors import UsageError
from resparse.published import FLOPS
from resparse.record import RunFolder
from resparse.verdict import rounded_like

NAME = "benchmarks/itop/table2.toml"
TABLE = (artifact.ROOT / NAME).read_text()
CSV = "baselines/published/itop/table2.csv"
PRINTED = (artifact.ROOT / CSV).read_text()
BASE = ["reproduce", "itop/table2"]
RECIPE = "recipe = { batch_size = 32 }"
SET = 'label = "SET"\nmethod = "set"'
PARENT = 'parent = { row = "GMP", at = 0.0625 }'
LTR_AGAIN = f"""
[[row]]
label = "Again"
method = "ltr"
distribution = "uniform"
snapshots = [0.0625]
{PARENT.replace("GMP", "LTR")}
"""

RECIPES = {
    'epochs = "ten"': ["row RigL-ITOP, smoke: recipe: epochs = 'ten'", "a number"],
    "epochs = inf": ["epochs = inf", "a finite number"],
    "epochs = 0.001": ["epochs = 0.001", "make no step", "one or more"],
    "epochs = 3, steps = 4": ["epochs = 3.0 and steps = 4", "one of the two"],
    "lr = inf": ["lr = inf", "a finite number"],
    'lr_shape = "cosin"': ["lr_shape = 'cosin'", "'cosine' or 'steps'"],
    "steps = 250.5": ["steps = 250.5", "a whole number"],
    "batch_size = 32.5": ["batch_size = 32.5", "a whole number"],
    "batch_size = 898": ["batch_size = 898", "at most 897"],
    'nesterov = "no"': ["nesterov = 'no'", "true or false"],
    "nesterov = true, momentum = 0": ["nesterov = true", "momentum = 0.0", "above 0"],
    "warmup_epochs = -3": ["warmup_epochs = -3", "0 or more"],
    "warmup_epochs = 50": ["warmup_epochs = 50.0", "700 steps", "fewer than the 700"],
    "lr_factor = -1": ["lr_factor = -1", "above 0"],
    "lr_drop_epochs = [1, -3]": ["lr_drop_epochs[1] = -3", "0 or more"],
}

TOMLS = [  # (old, new, words)
    ("length = 2", 'length = "2"', ["row RigL-ITOP_2x: length = '2'", "a number"]),
    ("length = 2", "length = 0", ["length = 0", "above 0"]),
    ("fields = { begin", 'fields = "x" #', ["row GMP: fields = 'x'", "a table"]),
    ("smoke = { fields = { interval = 25 } }", "smoke = 3", ["row SET, smoke: 3", "a table"]),
    ("smoke = { fields", "smoke = { feilds", ["row SET, smoke", "'feilds'", "recipe, fields"]),
    ("snapshots = [0.0625]", "snapshots = 0.0625", ["snapshots = 0.0625", "a list"]),
    ("snapshots = [0.0625]", "snapshots = [2.0]", ["row GMP: snapshots[0] = 2.0", "below 1"]),
    ("snapshots = [0.0625]", "snapshots = [1e-9, 0.0625]", ["snapshots", "1e-09", "step 1 on"]),
    ("seeds = [0, 1, 2]", "seeds = 3", ["levels.smoke.seeds = 3", "a list"]),
    ("seeds = [0, 1, 2]", "seeds = []", ["levels.smoke.seeds = []", "at least 1"]),
    ("seeds = [0, 1, 2]", "seeds = [0, -1]", ["levels.smoke.seeds: seed -1", "from 0"]),
    ("seeds = [0, 1, 2]", "seeds = [0, 1.5]", ["levels.smoke.seeds[1] = 1.5", "whole number"]),
    ("frozen_seeds = 20", "frozen_seeds = -1", ["levels.smoke.frozen_seeds = -1", "0 or more"]),
    ("shows = ", "#", ["levels.smoke.shows is missing", "workload, seeds, shows"]),
    ('workload = "digits', '#"', ["levels.smoke.workload is missing"]),
    ('workload = "digits_resnet8"', 'workload = "x"', ["levels.smoke: ", "'x'", "digits_resnet8"]),
    ('[exact]\nworkload = "imagenet_resnet50"', '[exact]\nworkload = "x"', ["exact: ", "'x'"]),
    ("[levels.paper]", "[levels.big]", ["levels.paper is missing"]),
    ("margin_pp = 0.5", 'margin_pp = "0.5"', ["artifact.margin_pp = '0.5'", "a number"]),
    ("sparsities = [0.9, 0.8]", "sparsities = 0.9", ["artifact.sparsities = 0.9", "a list"]),
    ("sparsities = [0.9, 0.8]", "sparsities = []", ["artifact.sparsities = []", "at least 1"]),
    ("sparsities = [0.9, 0.8]", "sparsities = [0.9, 0.9]", ["sparsity 0.9", "twice"]),
    ("sparsities = [0.9, 0.8]", "sparsities = [0.999]", ["smoke: sparsity 0.999", "no weight"]),
    ("sparsities = [0.9, 0.8]", "sparsities = [0.9]", [f"{CSV}: Dense 0.8", "valid: 0.9"]),
    (", at = 0.0625", "", ["row LTR: parent.at is missing", "row, at"]),
    ("at = 0.0625", "at = 0.07", ["row LTR: parent GMP keeps no", "at = 0.07", "valid: 0.0625"]),
    ('row = "GMP"', 'row = "LTR"', ["row LTR: parent leads back", "LTR -> LTR"]),
    ('row = "GMP"', 'row = "Static"', ["row LTR: parent Static keeps no snapshot", "none"]),
    (PARENT, PARENT.replace("GMP", "Again") + LTR_AGAIN, ["LTR -> Again -> LTR"]),
    (PARENT, PARENT + "\nlength = 2", ["row LTR, smoke", "step 44 of 700", "step 88 of 1400"]),
    (PARENT, "", ["row LTR: parent is missing", "method ltr"]),
    (SET, f"{SET}\n{PARENT}", ["row SET: parent = 'GMP'", "none", "method set"]),
    ('"uniform"\nparent', '"erk"\nparent', ["row LTR: distribution = 'erk'", "'uniform'", "GMP"]),
    ('"erk"', '"erc"', ["row Static: distribution = 'erc'", "erk"]),
    ('label = "SET"', 'label = "RigL"', ["row RigL is given twice"]),
    ('label = "SET"', "label = 3", ["row 3: label = 3", "a text"]),
    ('label = "SET"', 'labl = "SET"', ["row number 3: unknown key 'labl'", "label, method"]),
    ('label = "SET"', "", ["row number 3: label is missing"]),
    ('published = "itop/table2.csv"', 'published = "itop/x.csv"', ["'itop/x.csv'", "No such file"]),
    ('published = "itop/table2.csv"', 'published = "itop"', ["'itop'", "valid: "]),
    ('published = "itop/table2.csv"', 'published = "itop/SOURCE.toml"', ["SOURCE.toml:1: columns"]),
    ("interval = 100, alpha", "interval = 0, alpha", ["row SET, paper: method set: interval = 0"]),
    ("[artifact]", "[artefact]", ["unknown key 'artefact'", "artifact, exact, levels, row"]),
]  # fmt: skip

TABLES = {"artifact": r"\[artifact\]", "exact": r"\[exact\]", "levels": r"\[levels\..*?\]"}


def one_sentence(error: UsageError, where: str, words: list[str]) -> None:
    text = str(error)
    assert error.exit_code == 5
    assert text.startswith(where)
    assert "\n" not in text
    for word in words:
        assert word in text, text


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_bad_recipe_is_refused_when_the_table_is_read(recipe):
    assert RECIPE in TABLE
    changed = TABLE.replace(RECIPE, f"recipe = {{ {recipe} }}", 1)
    with pytest.raises(UsageError) as caught:
        artifact.parse(changed, NAME)
    one_sentence(caught.value, f"{NAME}, row RigL-ITOP, smoke: recipe: ", RECIPES[recipe])


@pytest.mark.parametrize(("old", "new", "words"), TOMLS)
def test_a_bad_table_is_refused_when_it_is_read(old, new, words):
    assert old in TABLE
    with pytest.raises(UsageError) as caught:
        artifact.parse(TABLE.replace(old, new, 1), NAME)
    one_sentence(caught.value, "b", words)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_is_missing_is_named(name):
    parts = re.split(r"(?m)^(?=\[)", TABLE)
    left = "".join(part for part in parts if not re.match(TABLES[name], part))
    with pytest.raises(UsageError, match=f"^{NAME}: {name} is missing; needed: artifact, exact, l"):
        artifact.parse(left, NAME)


def test_a_table_without_rows_is_refused():
    head = TABLE[: TABLE.index("[[row]]")]
    with pytest.raises(UsageError, match=f"^{NAME}: row is missing"):
        artifact.parse(head, NAME)
    with pytest.raises(UsageError, match=rf"^{NAME}: row = \[\]; valid: at least 1"):
        artifact.parse("row = []\n" + head, NAME)


STATIC = "Static,0.9,train_flops,x dense,0.24,,0.2418,,cited,Evci et al. 2020a"
TOP1 = "SET,0.9,top1,percent,69.6,0.23,,,cited,Evci et al. 2020a"
CSVS = [  # (old, new, words)
    ("69.6,0.23,", "69.6,+-0.23,", [f"{CSV}:12: std = '+-0.23'", "like 0.23"]),
    ("SET,0.9,top1", "SET,90%,top1", [f"{CSV}:12: sparsity = '90%'", "a number"]),
    ("SET,0.9,top1", "SET,90,top1", [":12: sparsity = '90'", "below 1"]),
    ("SET,0.9,top1", "SET,0.95,top1", ["SET 0.95 top1: sparsity 0.95", "0.9, 0.8"]),
    ("SET,0.9,top1", "SETT,0.9,top1", ["SETT 0.9 top1: row 'SETT'", "Dense, Static, SET"]),
    ("SET,0.9,top1", ",0.9,top1", [":12: row = nothing", "a text"]),
    (TOP1, f"{TOP1}\n{TOP1}", [f"{CSV}:13: SET 0.9 top1 is given twice"]),
    (TOP1, TOP1 + ",x", [":12: 11 columns", "10"]),
    (TOP1, TOP1.removesuffix(",Evci et al. 2020a"), [":12: 9 columns", "10"]),
    ("69.6,0.23,", "69.6*,0.23,", [":12: published = '69.6*'", "like 42, 0.42 or 8.2e9"]),
    ("69.6,0.23,,", "69.6,0.23,69.6000,", ["SET 0.9 top1: expected = '69.6000'", "empty"]),
    ("RigL-ITOP,0.9,rs,fraction,0.83,,,", "RigL-ITOP,0.9,rs,fraction,0.83,,0.8300,",
     ["RigL-ITOP 0.9 rs: expected = '0.8300'", "not computed"]),
    (STATIC, STATIC.replace("0.2418", ""), ["Static 0.9 train_flops: published 0.24 has no exp"]),
    (STATIC, STATIC.replace("0.2418", "0.24x"), [":10: expected = '0.24x'", "four digits"]),
    (STATIC, STATIC.replace("0.2418", "0.24"), [":10: expected = '0.24'", "four digits"]),
    (STATIC, STATIC.replace("x dense", "percent"), [":10: Static train_flops 0.24", "'x dense'"]),
    (STATIC, STATIC.replace("x dense", ""), [":10: Static train_flops 0.24", "unit ''"]),
    (STATIC, STATIC.replace("train_flops", "flops"), [":10: metric 'flops'", "train_flops"]),
    ("0.10,,0.1000,", "0.10,,,", ["Static 0.9 rs: published 0.10 has no expected"]),
    ("E-ITOP-03", "E-ITOP-99", ["SET 0.9 train_flops: erratum 'E-ITOP-99'", "E-ITOP-03"]),
    (",std,", ",", [f"{CSV}:1: columns row,sparsity,metric,unit,published,expected", ",std,"]),
    (PRINTED, "\n", [f"{CSV}:1: columns ; valid: row,sparsity,metric,unit"]),
]  # fmt: skip


@pytest.fixture
def files(monkeypatch):
    """File -> a text that is read in its place."""
    changed, read = {}, artifact.read_text
    monkeypatch.setattr(artifact, "read_text", lambda p, name: changed.get(name) or read(p, name))
    return changed


@pytest.mark.parametrize(("old", "new", "words"), CSVS)
def test_a_bad_published_number_is_refused_when_the_table_is_read(old, new, words, files):
    assert old in PRINTED
    files[CSV] = PRINTED.replace(old, new, 1)
    with pytest.raises(UsageError) as caught:
        artifact.parse(TABLE, NAME)
    one_sentence(caught.value, CSV, words)


def test_every_number_that_is_read_can_be_compared():
    """What the form of the CSV lets in, rounded_like takes."""
    for line in csv.DictReader(PRINTED.splitlines()):
        for column in ("published", "expected"):
            assert not line[column] or rounded_like(1.0, line[column])
    assert {"train_flops", "test_flops"} <= set(FLOPS)
    assert not {"top1", "rs"} & set(FLOPS)


def test_the_name_of_a_file_is_its_tables(files, capsys):
    files[NAME] = TABLE.replace('name = "table2"', 'name = "table3"')
    assert main(BASE) == 5
    error = capsys.readouterr().err
    assert (
        error
        == f"resparse: {NAME}: artifact paper and name = 'itop/table3'; valid: 'itop/table2'\n"
    )


def test_no_run_of_the_frozen_seeds_has_another_key():
    path = artifact.ROOT / "baselines" / "frozen" / "itop" / "table2-smoke.jsonl"
    frozen = {json.loads(line)["key"] for line in path.read_text().splitlines()}
    images = data.load("digits", None)
    table = artifact.load("itop/table2")
    planned = artifact.plan(table, "smoke", images.sha256, seeds=range(20))
    assert {item.run.key for item in planned} == frozen


LINES = [
    ([*BASE, "--sparsity", "0.9,x"], ["--sparsity '0.9,x'", "0.9,0.8"]),
    ([*BASE, "--sparsity", "0.9,0.9"], ["sparsity 0.9 is given twice"]),
    ([*BASE, "--sparsity", "0.9", "--sparsity", "0.90"], ["sparsity 0.9 is given twice"]),
    ([*BASE, "--sparsity", "nan"], ["sparsity nan", "below 1"]),
    ([*BASE, "--seeds", "0,1", "--seeds", "1"], ["seed 1 is given twice"]),
    ([*BASE, "--seeds", ""], ["--seeds ''", "0,1,2"]),
    ([*BASE, "--only", "RigL", "--only", "RigL"], ["row RigL is given twice"]),
    ([*BASE, "--plan", "--speed", "0"], ["--speed: '0'", "above 0"]),
    ([*BASE, "--plan", "--speed", "nan"], ["--speed: 'nan'", "above 0"]),
    ([*BASE, "--speed", "5"], ["--speed: only --plan"]),
    ([*BASE, "--plan", "--json"], ["--json", "--plan does not use it"]),
    ([*BASE, "--plan", "--exact-only"], ["--exact-only", "--plan"]),
    ([*BASE, "--plan", "--workers", "0"], ["--workers: '0'", "1 or more"]),
    ([*BASE, "--workers=-1"], ["--workers: '-1'", "1 or more"]),
    ([*BASE, "--rehearse", "--device", "gpu"], ["--device", "'gpu'", "cuda"]),
    ([*BASE, "--rehearse", "--workers", "2"], ["--workers: --rehearse does not use it"]),
    ([*BASE, "--rehearse", "--seeds", "0,1"], ["--seeds 0,1", "one seed"]),
    ([*BASE, "--exact-only", "--seeds", "0"], ["--seeds 0: --exact-only does not use it"]),
    ([*BASE, "--from-records", "--workers", "2"], ["--workers: --from-records does not"]),
    ([*BASE, "--runs", ""], ["--runs", "a folder"]),
    (["freeze", "--workers", "0"], ["--workers: '0'", "1 or more"]),
    (["freeze", "--runs", "x"], ["--runs"]),
    (["explain", "0" * 16, "--workers", "2"], ["--workers"]),
    (["explain", ""], ["no run ''", "16 hex digits"]),
    (["explain", "0123456789abcdef"], ["no run '0123456789abcdef'"]),
]


@pytest.mark.parametrize(("arguments", "words"), LINES)
def test_a_bad_command_line_is_one_sentence(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.delenv("RESPARSE_DATA", raising=False)
    monkeypatch.setattr("resparse.exact.require_computable", lambda table, labels: None)
    assert main(arguments) == 5
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    for word in words:
        assert word in captured.err, captured.err


def test_two_sparsities_after_one_comma_are_both_meant(capsys):
    plan = [*BASE, "--plan", "--speed", "60", "--only", "RigL", "--seeds", "0"]
    assert main([*plan, "--sparsity", "0.9,0.8"]) == 0
    rows = [line.split()[:3] for line in capsys.readouterr().out.splitlines() if "RigL" in line]
    assert rows == [["RigL", "0.9", "1"], ["RigL", "0.8", "1"]]


@pytest.mark.parametrize("marker", [None, "", "3", "[]", '["record.json"]', '{"record.json": "0"}'])
def test_a_run_that_is_not_finished_or_damaged_is_one_sentence(marker, capsys, tmp_path):
    folder = RunFolder(tmp_path / ("0" * 16))
    folder.path.mkdir()
    if marker is not None:
        (folder.path / "COMMITTED").write_text(marker)
    assert main(["explain", "0" * 16, "--runs", str(tmp_path)]) == 2
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert ("is not finished" if marker is None else "move ") in text


def test_every_number_of_the_report_is_tried_before_anything_is_trained(monkeypatch, capsys):
    """A method whose FLOPs cannot be told beforehand is refused, and not after hours."""
    from resparse import exact, registry

    monkeypatch.setattr(exact, "_known", {})  # of other tests of this process
    monkeypatch.setattr(registry.load("set"), "nnz_at", lambda self, step: 7)
    assert main([*BASE, "--only", "SET", "--runs", "/proc/resparse"]) == 5
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "itop/table2, row SET, exact, sparsity 0.9: a global budget has no FLOPs" in error


def test_the_rehearsal_takes_the_device_it_is_given(monkeypatch, capsys):
    taken = []
    monkeypatch.setattr("resparse.exact.require_computable", lambda table, labels: None)
    monkeypatch.setattr(
        "resparse.reproduce.rehearse", lambda plan, device, say: taken.append(device)
    )
    monkeypatch.setattr("resparse.reproduce.gpu_lacks", list)
    for device in ("cpu", "cuda"):
        assert main([*BASE, "--rehearse", "--device", device]) == 0
    assert taken == ["cpu", "cuda"]
    monkeypatch.setattr("resparse.reproduce.gpu_lacks", lambda: ["no CUDA GPU is visible"])
    assert main([*BASE, "--rehearse", "--device", "cuda"]) == 4
    assert "no CUDA GPU is visible" in capsys.readouterr().err
