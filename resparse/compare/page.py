"""The page of a comparison: what it says first, its tables, its protocol; Markdown and HTML."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from resparse.compare.comparison import Comparison, Line, Setting
from resparse.compare.contest import Result, Standing
from resparse.compare.pareto import figure
from resparse.compare.tables import differences_csv, methods_csv
from resparse.pace import ROUNDS, StepTime
from resparse.page import Block, Grid, Heading, Picture, Text, as_html, as_markdown
from resparse.record import Run

SIMULATED = "masked: simulated sparsity, no time is saved"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a page says besides its numbers."""

    request: str
    level: str
    shows: str
    panel: str  # what it was compared on, in words
    panel_fields: Mapping[str, Any]  # what every method with such a field gets
    margin: float
    margin_reason: str
    run: Run  # the method's first
    panel_seeds: int  # how many the panel has
    checks: tuple[str, ...]
    paces: Mapping[tuple[str, str], StepTime]
    seconds: Mapping[str, float]
    device: str
    made: str  # commits and torch of the method's own runs
    frozen: str
    command: str


def files(result: Comparison, facts: Facts, name: str) -> dict[str, str]:
    """The page by file name: md, html, the figure as svg, and two csv."""
    settings = list(dict.fromkeys(s.setting for s in result.summaries))
    svg = figure(result.label, result.summaries, settings)
    blocks = page(result, facts, Picture(f"{name}.svg", svg, _caption(result)))
    title = f"{result.label} on {facts.panel}, {facts.level}"
    return {
        f"{name}.md": as_markdown(blocks),
        f"{name}.csv": differences_csv(result),
        f"{name}-methods.csv": methods_csv(result.summaries, facts.paces),
        f"{name}.html": as_html(title, blocks),
        f"{name}.svg": svg,
    }


def page(result: Comparison, facts: Facts, picture: Picture) -> list[Block]:
    """All of it, in the order it is read."""
    blocks: list[Block] = [Heading(f"{result.label} on {facts.panel}, {facts.level}", 1)]
    if facts.level == "smoke":
        blocks.append(Text(f"Smoke, not evidence: it shows {facts.shows}.", loud=True))
    if some := few_seeds(result, facts):
        blocks.append(Text(f"{some}: not the panel's comparison.", loud=True))
    return [
        *blocks,
        Text(answer(result)),
        Heading("The answer"),
        Text(_how_to_read(result, facts)),
        _answer_grid(result),
        picture,
        Heading("What each reached"),
        Text(
            "Means over seeds, at length 1. Training FLOPs are in units of dense training; R_s is "
            "the share of weights ever active, **trained** that of a whole interval or more. Steps "
            "were timed in turn on this machine, at the first sparsity, as CPU time of one thread "
            "(on a GPU by the clock): the median of "
            f"{ROUNDS} rounds, in brackets the least and the most. Masks save no time."
        ),
        _summary_grid(result, facts),
        Heading("Setting by setting"),
        Text("Each setting by itself; its tests are a family of their own."),
        _each_grid(result),
        Heading("How it was made"),
        _protocol(result, facts),
    ]


def few_seeds(result: Comparison, facts: Facts) -> str:
    """How many of the panel's seeds it rests on, empty where it is all of them."""
    if len(result.seeds) == facts.panel_seeds:
        return ""
    named = ", ".join(map(str, result.seeds))
    return f"{len(result.seeds)} of the panel's {facts.panel_seeds} seeds ({named})"


def answer(result: Comparison) -> str:
    """One paragraph: what it beats, what beats it, at equal steps and at equal training FLOPs."""
    at_steps = _standings("At equal steps", [(x.baseline, "", x.steps) for x in result.overall])
    known = [(x.baseline, _part(x), x.flops) for x in result.overall if x.flops]
    at_flops = _standings("At equal training FLOPs", known)
    none = [line.baseline for line in result.overall if not line.flops]
    apart = f" Its cost lies outside the lengths of {', '.join(none)}." if none else ""
    return f"{at_steps} {at_flops}{apart}".strip()


def _part(line: Line) -> str:
    known, of = line.flops_settings
    return "" if known == of else f", {known} of {of} settings"


def _standings(start: str, lines: list[tuple[str, str, Result]]) -> str:
    words = {
        Standing.BETTER: "better than",
        Standing.WORSE: "worse than",
        Standing.EQUIVALENT: "equivalent to",
        Standing.INCONCLUSIVE: "not told apart from",
    }
    parts = []
    for standing, word in words.items():
        named = [f"{n} ({r.difference:+.2f}{p})" for n, p, r in lines if r.standing == standing]
        if named:
            parts.append(f"{word} {', '.join(named)}")
    return f"**{start}**: {'; '.join(parts)}." if parts else ""


def _how_to_read(result: Comparison, facts: Facts) -> str:
    tuned = (
        "one configuration was tried"
        if result.tries == 1
        else f"{result.tries} configurations were tried, so every p is multiplied by {result.tries}"
    )
    return (
        "Differences of test top-1 in percentage points (last epoch), mean over the panel's "
        f"settings, in brackets the 95 % interval of each by itself; {len(result.seeds)} seeds, "
        "paired. p is adjusted over this table (Holm), the intervals are not: one may exclude 0 "
        "although p is above .05. BETTER and WORSE: p below .05; EQUIVALENT: the 90 % interval "
        f"lies within {facts.margin} ({facts.margin_reason}). Tuning: {tuned}; the baselines have "
        "one each, their papers' defaults but for what every method here gets "
        f"({_fields(facts.panel_fields)}) and what the panel's file declares. **Visible** is the "
        "smallest true difference this panel finds with 80 % power. At equal training FLOPs a "
        "baseline's accuracy is read off between its lengths; an interval counts steps at every "
        "length, so that short trainings update seldom."
    )


def _fields(fields: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in fields.items()) or "nothing"


HEAD = ("difference, steps", "p", "standing", "visible", "difference, FLOPs", "p", "standing")


def _answer_grid(result: Comparison) -> Grid:
    rows = [[line.baseline, *_cells(line), line.flops_note] for line in result.overall]
    return _without_empty_note(("baseline", *HEAD, "note"), rows, 1)


def _each_grid(result: Comparison) -> Grid:
    rows = [
        [*_named(line.setting), line.baseline, *_cells(line), line.flops_note]
        for line in result.each
        if line.setting
    ]
    return _without_empty_note(("workload", "sparsity", "baseline", *HEAD, "note"), rows, 3)


def _without_empty_note(head: Sequence[str], rows: list[list[str]], left: int) -> Grid:
    """The last column only where it says something."""
    if any(row[-1] for row in rows):
        return Grid(head, rows, left)
    return Grid(head[:-1], [row[:-1] for row in rows], left)


def _named(setting: Setting | None) -> tuple[str, str]:
    return (setting[0], f"{setting[1]:g}") if setting else ("all", "all")


def _cells(line: Line) -> list[str]:
    steps = _result(line.steps)
    return [*steps, f"{line.steps.smallest_visible:.2f}", *_result(line.flops)]


def _result(result: Result | None) -> list[str]:
    if result is None:
        return ["–", "–", "–"]
    low, high = result.ci95
    p = "<0.001" if result.p < 0.001 else f"{result.p:.3f}"
    return [f"{result.difference:+z.2f} [{low:+z.2f}, {high:+z.2f}]", p, str(result.standing)]


SUMMARY = (
    *("workload", "sparsity", "method", "top-1", "R_s", "trained", "train FLOPs", "of parent"),
    *("test FLOPs", "weights", "ms a step", "unstable"),
)


def _summary_grid(result: Comparison, facts: Facts) -> Grid:
    rows = []
    for s in result.summaries:
        if s.length != 1:
            continue
        pace = facts.paces.get((s.setting[0], s.label))
        name = f"**{s.label}**" if s.label == result.label else s.label
        rows.append(
            [
                *_named(s.setting),
                name,
                f"{s.top1:.2f} ± {s.std:.2f}",
                f"{s.rs:.3f}",
                f"{s.rs_trained:.3f}",
                f"{s.train_flops_vs_dense:.3f}",
                f"{s.parent_flops_vs_dense:.3f}" if s.parent_flops_vs_dense else "–",
                f"{s.test_flops_vs_dense:.3f}",
                f"{s.nnz:,.0f} of {s.maskable:,}",
                "–" if pace is None else f"{pace.ms:.2f} ({pace.least:.2f} to {pace.most:.2f})",
                f"{s.unstable} of {s.seeds}" if s.unstable else "–",
            ]
        )
    return Grid(SUMMARY, rows, 3)


def _protocol(result: Comparison, facts: Facts) -> Grid:
    run = facts.run
    seconds = ", ".join(f"{name} {s:.1f} s" for name, s in facts.seconds.items())
    rows = [
        ["command", f"`{facts.command}`"],
        ["method", f"{result.label}; its file's sha256 {run.method_sha256 or 'that of the suite'}"],
        ["fields", _fields(run.fields)],
        ["distribution", run.distribution],
        ["contract", f"{len(facts.checks)} checks passed before anything was trained"],
        ["seeds", ", ".join(map(str, result.seeds))],
        ["tuning budget", f"configurations of it in this store on these data: {result.tries}"],
        ["made by", facts.made],
        ["baselines", facts.frozen],
        ["device", facts.device],
        ["engine", SIMULATED],
        ["wall time a run", f"{seconds}, of the method's runs, as many at once as there are cores"],
    ]
    return Grid(("", ""), rows, 2)


def _caption(result: Comparison) -> str:
    return (
        f"Test top-1 against training FLOPs; {result.label} is the star, a line joins a baseline's "
        "lengths, bars are one standard deviation over seeds. What lies far below every full "
        "training is cut."
    )


def as_json(result: Comparison, facts: Facts) -> str:
    """The whole comparison."""
    value: dict[str, Any] = dataclasses.asdict(result)
    value |= {"level": facts.level, "fields": facts.run.fields, "answer": answer(result)}
    value |= {"baselines": facts.frozen, "made_by": facts.made, "wall_s_a_run": dict(facts.seconds)}
    value["panel_seeds"] = facts.panel_seeds
    value["ms_a_step"] = [
        {"workload": load, "label": label} | pace._asdict()
        for (load, label), pace in facts.paces.items()
    ]
    return json.dumps(value, indent=1)


def to_terminal(result: Comparison, facts: Facts) -> None:
    """The answer, as a table."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=130)
    if facts.level == "smoke":
        console.print("[bold]Smoke, not evidence.[/bold]")
    if some := few_seeds(result, facts):
        console.print(f"[bold]{some}.[/bold]")
    table = Table(title=f"{result.label}: differences of test top-1, percentage points")
    for name in ("baseline", *HEAD):
        table.add_column(name, justify="left" if name == "baseline" else "right")
    for line in result.overall:
        table.add_row(line.baseline, *_cells(line))
    console.print(table)
    for line in result.overall:
        if line.flops_note:
            console.print(f"{line.baseline} at equal training FLOPs: {line.flops_note}")
    console.print(answer(result).replace("**", ""))
