"""What reports of panels write, made up."""

from pathlib import Path

from resparse import artifact

LINE = "{row},{sparsity},{metric},{ours},{std},3,{seeds},,,NO REFERENCE,,,,,\n"
HEAD = (
    "row,sparsity,metric,ours,std,n,seeds,published,published_std,verdict,frozen_verdict,erratum,"
    "note,frozen_note,keys\n"
)


def line(row: str, sparsity: float, metric: str, ours: float | str, std: float | str = "") -> str:
    """Of three seeds as far apart as their sample deviation."""
    at, apart = float(ours or 0), float(std or 0)
    seeds = f"0:{at - apart:.6g} 1:{at:.6g} 2:{at + apart:.6g}" if ours != "" else ""
    return LINE.format(row=row, sparsity=sparsity, metric=metric, ours=ours, std=std, seeds=seeds)


def made(panel: artifact.Artifact, folder: Path, level: str = "smoke") -> None:
    """What a report of the panel's level writes: made-up numbers, one run of SET missing."""
    text = HEAD
    for sparsity in panel.sparsities:
        for n, row in enumerate(row for row in panel.rows if row.has(sparsity)):
            lost = row.at(level).left_out or (row.label.endswith(" 800") and sparsity == 0.8)
            mean = "" if lost else 90 - n - sparsity
            text += line(row.label, sparsity, panel.accuracy, mean, 0.5)
            text += line(row.label, sparsity, "train_flops", 1 - sparsity)
            if "train_top1" in panel.measured:
                text += line(row.label, sparsity, "train_top1", "" if lost else 95)
            if row.method == "dense":
                text += line(row.label, sparsity, "rs", 1.0)
            elif not lost:
                text += line(row.label, sparsity, "rs", 0.99)  # of the paper's network: not drawn
                text += line(row.label, sparsity, "rs_trained_here", 0.5 + n / 100)
    file = folder / f"{panel.file(level)}.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
