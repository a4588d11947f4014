"""The whole command on fabricated records: what Table 1's smoke report says, without training."""

import csv

import pytest

from resparse import artifact, data
from resparse.__main__ import main
from resparse.asked import Options
from resparse.record import Record, RunStore
from resparse.tables.report import command
from resparse.worker import code_of

TABLE = artifact.load("itop/table1")
POINT = "P 0.5 interval 3000"


def fabricated(run) -> Record:
    outcome = {
        "top1_last": 60.0 + run.seed, "top1_best_val": None, "rs": 0.2, "nnz": {"a": 1},
        "maskable": 10, "total": 11,
    }  # fmt: skip
    return Record(
        key=run.key,
        config=run.config,
        fingerprint=code_of(run),
        status="completed",
        reason="",
        outcome=outcome,
        curves={},
        provenance={"git_sha": "made", "git_dirty": False, "device": "cpu", "wall_s": 1.0},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Records of seeds 0 and 1 of every smoke point, and the report of them."""
    place = tmp_path_factory.mktemp("table1")
    images = data.load("digits", None)
    for item in artifact.plan(TABLE, "smoke", images.sha256, seeds=[0, 1]):
        made = RunStore(place / "runs").folder(item.run)
        made.path.mkdir(parents=True)
        made.commit(fabricated(item.run), [])
    where = ["--runs", str(place / "runs"), "--out", str(place / "reports")]
    assert main(["reproduce", TABLE.id, "--from-records", *where]) == 0
    return place / "reports" / "itop"


def test_a_trained_point_a_left_out_one_and_a_missing_seed(folder):
    with (folder / "table1.csv").open() as file:
        cells = {(line["row"], line["metric"]): line for line in csv.DictReader(file)}
    trained = cells[POINT, "top1_last"]
    assert (trained["seeds"], trained["published"]) == ("0:60 1:61", "93.94")
    assert trained["verdict"] == "INCOMPLETE"  # the level has three seeds
    assert trained["erratum"] == "E-ITOP-08"
    absent = cells["P 0.7 interval 3000", "top1_last"]
    assert (absent["verdict"], absent["note"]) == ("NOT RUN", "left out at level smoke")
    exact = [line for (_, metric), line in cells.items() if metric == "rs"]
    assert {(line["verdict"], line["erratum"]) for line in exact} == {("EXACT", "E-ITOP-09")}
    assert len(exact) == 25


def test_the_page_says_what_was_trained_and_which_trainings_the_print_can_be_of(folder):
    page = (folder / "table1.md").read_text()
    assert "- **frozen**: none: no records of ours" in page
    assert "- **distribution**: erk, all rows" in page
    assert "9 of the 25 points" in page
    fits = page[page.index("## Which trainings the printed R\\_s can be of") :]
    for words in ("as stated", "62,500 to 65,000 steps", "200 epochs of 352 steps", "25 of 25"):
        assert words in fits
    assert "- Not 250 epochs of 351 steps of 128, as stated: 25 of 25 printed" in fits


def test_a_label_with_spaces_is_quoted_in_the_command():
    options = Options(name=TABLE.id, only=(POINT,))
    assert command(TABLE, options) == f"nox -s table1 -- --only '{POINT}'"
