"""What artifacts hold and cost: hours and disk by hand, what is committed."""

import json
from pathlib import Path

import pytest

from resparse import artifact, costs, kept
from resparse.__main__ import main
from resparse.disk import kept_bytes

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / "reports"
MLP_MACS = 3072 * 1024 + 1024 * 512 + 512 * 10
STEPS, BATCH = 200 * 351, 128  # of 45,000 images


@pytest.fixture(scope="module")
def controls():
    (found,) = costs.costs("itop", REPORTS, ["itop/controls_mlp"])
    return found


@pytest.fixture(scope="module")
def table1():
    (found,) = costs.costs("itop", REPORTS, ["itop/table1"])
    return found


def test_hours_are_three_forward_passes_of_every_image_at_the_speed(controls):
    runs = 2 * 3  # learning rates, seeds
    assert len(controls.runs) == runs
    flops = runs * 3 * 2 * MLP_MACS * STEPS * BATCH
    assert costs.hours(controls.runs, 60.0) == pytest.approx(flops / 60e12 / 3600)
    assert costs.hours([*controls.runs, *controls.runs], 60.0) == pytest.approx(
        flops / 60e12 / 3600
    )


def test_disk_is_what_each_run_keeps_once(controls):
    assert costs.disk_bytes([*controls.runs, *controls.runs]) == sum(map(kept_bytes, controls.runs))


def test_numbers_are_counted_by_what_the_paper_prints(table1):
    cells = artifact.load("itop/table1").cells
    assert sum(table1.computed.values()) + table1.printed == sum(
        cell.published is not None for cell in cells.values()
    )
    assert (table1.computed, table1.printed) == ({"EXACT, not as printed": 25}, 25)
    assert table1.claims == sum(
        '"table1"' in line
        for path in (ROOT / "benchmarks/itop/claims").glob("*.toml")
        for line in path.read_text().splitlines()
        if line.startswith("artifacts")
    )


def test_what_is_there_is_counted_in_the_committed_records(table1, tmp_path):
    levels = {level: (there, runs) for level, there, runs in table1.there}
    assert levels["smoke"][0] == levels["smoke"][1] > 0
    assert levels["paper"] == (0, 75)
    (none,) = costs.costs("itop", tmp_path, ["itop/table1"])
    assert [there for _, there, _ in none.there] == [0, 0]
    file = kept.file(REPORTS, "itop", "smoke")
    some = kept.file(tmp_path, "itop", "smoke")
    some.parent.mkdir(parents=True)
    keys = {run.key for run in costs._runs([artifact.load("itop/table1")], "smoke",
                                           kept.read(file))}  # fmt: skip
    lines = [x for x in file.read_text().splitlines() if json.loads(x)["record"]["key"] in keys]
    some.write_text("".join(f"{line}\n" for line in lines[:-1]))
    (fewer,) = costs.costs("itop", tmp_path, ["itop/table1"])
    assert fewer.there[0][1] == levels["smoke"][0] - 1


def test_rows_say_what_is_expected_and_one_claim_is_no_claims(table1, controls):
    first, second, total = costs.rows([table1, controls], 60.0)
    assert len({len(first), len(second), len(total), len(costs.HEAD)}) == 1
    assert first[1] == "`nox -s table1`"
    assert first[2] == "25 computed, 25 trained; 25 means"
    assert first[3].startswith("25 EXACT, not as printed; 25 within the margin; ")
    assert second[2:4] == ["none printed; 2 means", "1 claim CONFIRMED"]
    both = costs.hours([*table1.runs, *controls.runs], 60.0)
    assert total[5] == f"{both:,.0f}"


def test_the_command_prints_them_as_json_too(monkeypatch, capsys, table1, controls):
    monkeypatch.setattr(costs, "costs", lambda paper, out: [table1, controls])
    assert main(["costs", "--json", "--speed", "30"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [cost["artifact"] for cost in found] == ["table1", "controls_mlp"]
    assert found[0]["gpu_hours"] == pytest.approx(costs.hours(table1.runs, 30.0))
    assert main(["costs", "--speed", "0"]) == 5
