r"""Tables as LaTeX that a paper \inputs; they need the package booktabs."""

from resparse.report.pieces import Entry, View
from resparse.report.words import by_place, columns
from resparse.tables.render import counted, number

MARKS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}
HEADS = {
    "top1_last": r"top-1, \%",
    "top1_best_val": r"top-1 (best val.), \%",
    "top1_best_test": r"top-1 (best test), \%",
    "train_top1": r"training top-1, \%",
    "rs": "$R_s$",
    "rs_trained_here": "$R_s$ here",
    "train_flops": r"training FLOPs, $\times$ dense",
    "test_flops": r"test FLOPs, $\times$ dense",
}


def escape(text: str) -> str:
    """Text as LaTeX prints it; a letter that pdflatex may lack is named by its code point.

    >>> escape("50 % of W_1 & <b>")
    '50 \\\\% of W\\\\_1 \\\\& \\\\textless{}b\\\\textgreater{}'
    """
    return "".join(MARKS.get(c, c if c.isascii() else f"[U+{ord(c):04X}]") for c in text)


def as_latex(view: View) -> str:
    """A tabular: ours, the paper's and the verdict by metric; where it prints none, ours alone."""
    metrics = columns(view)
    spans, rules, heads, at = [], [], [], 3
    for metric, printed in metrics.items():
        width = 3 if printed else 1
        spans.append(rf"\multicolumn{{{width}}}{{c}}{{{HEADS.get(metric, escape(metric))}}}")
        rules.append(rf"\cmidrule(lr){{{at}-{at + width - 1}}}")
        heads += ["ours", "paper", "verdict"] if printed else ["ours"]
        at += width
    lines = [
        f"% {view.artifact.id}, {view.level}: {view.report.header['what it shows']}",
        f"% made by {view.report.header['command']}; verdicts: see the page beside it",
        rf"\begin{{tabular}}{{ll{'r' * (at - 3)}}}",
        r"\toprule",
        " & ".join(["", "", *spans]) + r" \\",
        " ".join(rules),
        " & ".join(["row", "sparsity", *heads]) + r" \\",
        r"\midrule",
    ]
    for (row, sparsity), found in by_place(view).items():
        cells = [escape(row), str(sparsity)]
        for metric, printed in metrics.items():
            cells += _cells(found.get(metric), printed)
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _cells(entry: Entry | None, printed: bool) -> list[str]:
    if entry is None:
        return [""] * (3 if printed else 1)
    cell = entry.cell
    ours = "--" if cell.value is None else escape(number(cell, entry.metric))
    std = "" if cell.published_std is None else rf" $\pm$ {cell.published_std:g}"
    theirs = "--" if cell.published is None else f"{escape(cell.published)}{std}"
    return [ours, theirs, rf"{{\scriptsize {escape(counted(cell))}}}"] if printed else [ours]
