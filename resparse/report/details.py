"""What the HTML page shows when a number, a claim or a run is opened, as one JSON text."""

import json
from typing import Any

from resparse.claims.listing import as_json
from resparse.record import Record
from resparse.report.model import FACTS, Environment, Page, environment_of
from resparse.report.pieces import Entry, Piece, View
from resparse.tables.render import counted, number, paper

METRICS = {
    "top1_last": "test top-1, last epoch, %",
    "top1_best_val": "test top-1, best epoch by validation, %",
    "top1_best_test": "test top-1, best epoch by the test images, %",
    "train_top1": "top-1 of the training images, %",
    "rs": "R_s",
    "rs_trained_here": "R_s, trained here",
    "train_flops": "training FLOPs, x dense",
    "test_flops": "test FLOPs, x dense",
    "train_flops_total": "training FLOPs",
    "test_flops_total": "test FLOPs",
}


def metric_title(metric: str) -> str:
    """A metric in words, with its unit."""
    return METRICS.get(metric, metric)


def details(page: Page) -> str:
    """JSON that is safe inside a script element: no text in it can end that."""
    value = {
        "views": {view.name: _view(piece, view) for piece in page.pieces for view in piece.views},
        "cells": {
            entry.id: _cell(entry)
            for piece in page.pieces
            for view in piece.views
            for entry in view.entries
        },
        "claims": {s.claim.id: as_json(s) for s in page.claims},
        "errata": page.about.errata,
        "environments": [dict(environment.facts) for environment in page.environments],
        "records": {key: _record(r, page.environments) for key, r in page.records.items()},
        "claims_command": f"resparse claims --paper {page.paper}",
    }
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _view(piece: Piece, view: View) -> dict[str, Any]:
    return {
        "title": view.artifact.title,
        "level": view.level,
        "session": piece.session(view.level),
        "shows": view.report.header["what it shows"],
    }


def _cell(entry: Entry) -> dict[str, Any]:
    """Without what is empty."""
    cell = entry.cell
    values = {
        "row": entry.row,
        "sparsity": entry.sparsity,
        "metric": metric_title(entry.metric),
        "ours": number(cell, entry.metric),
        "paper": "" if cell.published is None else paper(cell),
        "source": entry.source,
        "verdict": counted(cell),
        "note": cell.note,
        "frozen": str(cell.frozen_verdict or ""),
        "frozen_note": cell.frozen_note,
        "erratum": cell.erratum or "",
        "value": cell.value,
        "seeds": cell.seeds,
        "keys": cell.keys,
        "computed": entry.computed,
        "command": entry.command,
    }
    return {name: value for name, value in values.items() if value not in ("", None, {}, False)}


def _record(record: Record, environments: tuple[Environment, ...]) -> dict[str, Any]:
    facts = [environment.facts for environment in environments]
    return {
        "status": record.status,
        "reason": record.reason,
        "fingerprint": record.fingerprint,
        "config": record.config,
        "outcome": record.outcome,
        "curves": record.curves,
        "made": {k: v for k, v in record.provenance.items() if k not in FACTS},
        "environment": facts.index(environment_of(record)),
    }
