"""Bad input: one sentence naming the value and what is valid, the right exit code, no training."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from resparse import artifact
from resparse.__main__ import main
from resparse.errors import UsageError
from resparse.published import read_published

TABLE = (artifact.ROOT / "benchmarks" / "itop" / "table2.toml").read_text()
BASE = ["reproduce", "itop/table2"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["reproduce", "itop/table9"], 5, ["itop/table9", "itop/table2"]),
        ([*BASE, "--only", "RigI"], 5, ["RigI", "RigL-ITOP"]),
        ([*BASE, "--level", "huge"], 5, ["huge", "smoke, paper"]),
        ([*BASE, "--sparsity", "95"], 5, ["95", "below 1"]),
        ([*BASE, "--sparsity", "1.0"], 5, ["1.0", "below 1"]),
        ([*BASE, "--sparsity=-0.1"], 5, ["-0.1", "above 0"]),
        ([*BASE, "--sparsity", "0.5"], 5, ["0.5", "0.9, 0.8"]),
        ([*BASE, "--seeds", "0,0"], 5, ["seed 0", "twice"]),
        ([*BASE, "--seeds", "a"], 5, ["'a'", "0,1,2"]),
        ([*BASE, "--nonsense"], 5, ["--nonsense"]),
        ([*BASE, "--data-root", "/nowhere/at/all"], 5, ["/nowhere/at/all"]),
        ([*BASE, "--runs", "/proc/resparse"], 4, ["/proc/resparse", "cannot be written"]),
        ([*BASE, "--out", "/proc/resparse"], 4, ["/proc/resparse", "cannot be written"]),
        ([*BASE, "--level", "paper"], 4, ["RESPARSE_DATA", "--plan"]),
        (["flops", "--model", "vgg", "--dataset", "digits", "--density", "0.1", "--distribution",
          "erk"], 5, ["vgg", "resnet8, resnet18"]),
        (["flops", "--model", "resnet8", "--dataset", "digits", "--density", "2",
          "--distribution", "erk"], 5, ["density 2.0", "at most 1"]),
        (["nothing"], 5, ["nothing", "reproduce"]),
    ],
)  # fmt: skip
def test_bad_command_lines(arguments, code, words, capsys, monkeypatch):
    monkeypatch.delenv("RESPARSE_DATA", raising=False)
    assert main(arguments) == code
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    for word in words:
        assert word in captured.err
    assert "to train" not in captured.out


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('method = "static"', 'method = "statik"', ["statik", "static"]),
        ("interval = 100, alpha", "interval = 0, alpha", ["interval = 0", "1 or more"]),
        ("alpha = 0.3, t_end", "alfa = 0.3, t_end", ["alfa", "alpha"]),
        ("margin_pp", "margin", ["margin", "margin_pp"]),
        ("sparsities = [0.9, 0.8]", "sparsities = [95]", ["95", "below 1"]),
        ("seeds = [0, 1, 2]", "seeds = [1, 1]", ["seed 1", "twice"]),
        ('workload = "digits_resnet8"', 'workload = "digits"', ["'digits'", "digits_resnet8"]),
        ('distribution = "erk"', 'distribution = "erc"', ["erc", "erk"]),
        ("at = 0.0625", "at = 0.07", ["0.07", "0.0625"]),
        ('row = "GMP"', 'row = "IMP"', ["IMP", "GMP"]),
        ("[artifact]", "[artifact", ["table2.toml"]),
    ],
)
def test_bad_benchmark_file(old, new, words):
    assert old in TABLE
    with pytest.raises(UsageError) as error:
        artifact.parse(TABLE.replace(old, new, 1), "benchmarks/itop/table2.toml")
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("epochs = 0", ["epochs = 0", "above 0"]),
        ("batch_size = 0", ["batch_size = 0"]),
        ("epoch = 3", ["'epoch'", "epochs"]),
    ],
)
def test_bad_recipe(recipe, words):
    text = TABLE.replace("recipe = { batch_size = 32 }", f"recipe = {{ {recipe} }}", 1)
    with pytest.raises(UsageError) as error:
        artifact.parse(text, "x.toml")
    for word in words:
        assert word in str(error.value)


def test_a_published_number_needs_its_unit():
    head = "row,sparsity,metric,unit,published,std,expected,erratum,provenance,source\n"
    with pytest.raises(UsageError, match=r"x\.csv:2: RigL top1 73\.0 has unit '.*valid: 'percent'"):
        read_published(head + "RigL,0.9,top1,,73.0,0.04,,,cited,E\n", "x.csv")
    with pytest.raises(UsageError, match="metric 'top5'"):
        read_published(head + "RigL,0.9,top5,percent,73.0,0.04,,,cited,E\n", "x.csv")


def test_flops_json(capsys):
    arguments = ["--dataset", "imagenet", "--density", "0.1", "--distribution", "erk", "--json"]
    assert main(["flops", "--model", "resnet50", *arguments]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["forward_macs"] == 4_089_184_256
    assert round(found["forward_flops_vs_dense"], 4) == 0.2418
    assert round(found["train_flops_vs_dense"]["rigl"], 4) == 0.2443
    assert sum(layer["nnz"] for layer in found["layers"]) == found["nnz"] == 2_550_291


def test_the_plan_counts_the_runs_and_what_is_missing(capsys, monkeypatch):
    monkeypatch.delenv("RESPARSE_DATA", raising=False)
    assert main([*BASE, "--level", "paper", "--plan", "--speed", "60"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"\b\d\d runs of resnet50 on imagenet", text)
    assert "missing: no data root" in text
    assert "32,000" in text
    assert "2,001,800" in text


def test_a_reader_that_has_seen_enough_gets_no_traceback():
    """As `resparse list | true`: the pipe has no reader when the command prints."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "resparse", "list"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_a_part_of_the_table_says_that_it_writes_no_file(tmp_path, capsys):
    part = [*BASE, "--only", "Static", "--sparsity", "0.9", "--from-records"]
    part += ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    assert main(part) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "a part of the table: no files written (the whole table writes them)"
    assert not (tmp_path / "out").exists()
    assert main([*part, "--json"]) == 0
    json.loads(capsys.readouterr().out)  # and nothing beside it
    assert not (tmp_path / "out").exists()
