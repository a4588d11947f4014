"""Every form of a report says the same; nothing in it breaks a table or reaches outside."""

import csv
import io
import json

import pytest

from resparse import artifact
from resparse.tables import cells, render
from resparse.tables.files import as_svg

TABLE = artifact.load("itop/table2")


@pytest.fixture(scope="module")
def report():
    rows = cells.build(
        TABLE, "smoke", {}, {}, set(),
        comparable=False, sparsities=[0.9, 0.8], labels=["Dense", "RigL", "RigL-ITOP_2x"],
    )  # fmt: skip
    return render.Report(TABLE, {"command": "nox -s table2", "note": "a|b <script>"}, rows)


def test_csv_json_and_markdown_hold_the_same_cells(report):
    lines = list(csv.DictReader(io.StringIO(render.as_csv(report))))
    loaded = json.loads(render.as_json(report))
    assert len(lines) == sum(len(row["cells"]) for row in loaded["rows"])
    rigl = next(x for x in lines if (x["row"], x["metric"]) == ("RigL", "train_flops"))
    assert (rigl["published"], rigl["verdict"], rigl["erratum"]) == ("0.25", "EXACT", "E-ITOP-20")
    assert round(float(rigl["ours"]), 4) == 0.2443
    counted = report.verdicts
    printed = [x for x in lines if x["verdict"] == "EXACT"]
    differing = [x for x in printed if x["erratum"]]
    assert 0 < len(differing) == counted["EXACT, not as printed"]
    assert 0 < len(printed) - len(differing) == counted["EXACT"]
    markdown = render.as_markdown(report)
    assert "0.2443<br>paper 0.25<br>EXACT, not as printed<br>E-ITOP-20" in markdown
    assert "NOT RUN" in markdown
    assert "E-ITOP-20: A count" in markdown
    assert "32,000 steps of 4096 images (102.31 epochs) cost 3.216e+18 FLOPs" in markdown


def test_markdown_is_escaped_and_every_row_has_six_columns(report):
    markdown = render.as_markdown(report)
    assert "a\\|b &lt;script>" in markdown
    rows = [x for x in markdown.splitlines() if x.startswith("| ")]
    assert len(rows) == 2 * (1 + 3)
    assert {x.replace("\\|", "").count("|") for x in rows} == {7}


def test_the_picture_is_the_same_each_time_and_needs_nothing_from_elsewhere(report):
    picture = as_svg(report)
    assert picture == as_svg(report)
    assert "EXACT" in picture
    assert "url(http" not in picture
    assert "@font-face" not in picture
    assert "<script" not in picture
