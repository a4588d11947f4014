"""The section is computed, and every form of the report has it."""

import json
from dataclasses import replace

import pytest

from resparse import artifact
from resparse.tables import cells, render, rs_section
from resparse.tables.files import as_svg

FIVE = artifact.load("itop/table5")


@pytest.fixture(scope="module")
def report():
    table = replace(FIVE, readings=(FIVE.readings[0], FIVE.readings[-1]))
    labels = [row.label for row in table.rows if row.coordinates["interval"] == 3000]
    rows = cells.build(
        table, "smoke", {}, {}, set(), comparable=False, sparsities=[0.95], labels=labels
    )
    return render.Report(table, {"command": "nox -s table5"}, rows, rs_section.sections(table))


def test_the_section_is_in_every_form(report):
    (section,) = report.sections
    assert [row[0] for row in section.rows] == [r.says for r in report.artifact.readings]
    assert {len(row) for row in section.rows} == {len(section.head)}
    assert section.rows[0][1:4] == ("87,750", "0.1000, 0.0500", "0")
    assert section.rows[0][4:6] == ("0.0556", "0.1262")  # rms of 20 values, the largest of them
    assert section.rows[1][1] == "70,400"
    assert section.rows[1][3] == "2"
    assert section.rows[0][-1] == "20 of 20"
    assert any(note.startswith("Not 250 epochs of 351 steps") for note in section.notes)
    markdown = render.as_markdown(report)
    assert "## Which trainings the printed R\\_s can be of (E-ITOP-09)" in markdown
    assert f"| {' | '.join(section.rows[1])} |".replace("_", "\\_") in markdown
    assert json.loads(render.as_json(report))["sections"][0]["rows"][0] == list(section.rows[0])
    picture = as_svg(report)
    assert "87,750" in picture


def test_errata_of_the_whole_table_are_told(report):
    notes = render.footnotes(report)
    assert [note[:10] for note in notes[:3]] == ["E-ITOP-07:", "E-ITOP-08:", "E-ITOP-09:"]
    assert any(note.startswith("E-ITOP-18:") for note in notes)


def test_a_table_without_readings_has_no_section():
    assert rs_section.sections(artifact.load("itop/table2")) == ()
