"""Every number of the page as CSV, a line each, with its seeds, keys and command."""

import csv
import io

from resparse.report.model import Page
from resparse.tables.render import FIELDS, records

COLUMNS = ("artifact", "level", *FIELDS, "command")


def as_csv(page: Page) -> str:
    """The columns of a table's own CSV, between whose number it is and what makes it."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for view in (view for piece in page.pieces for view in piece.views):
        about = {"artifact": view.artifact.id, "level": view.level}
        for entry, line in zip(view.entries, records(view.report), strict=True):
            writer.writerow(about | line | {"command": entry.command})
    return buffer.getvalue()
