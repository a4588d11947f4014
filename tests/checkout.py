"""A checkout of its own with a tiny Table 2, for commands that train, freeze or are killed."""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = Path("benchmarks/itop/table2.toml")


def tiny_checkout(folder, *, rows, epochs, frozen_seeds=2):
    """Copy this checkout to ``folder``; its smoke level trains ``rows`` for a few epochs.

    Of the published numbers only those rows' accuracies stay; no large network is counted.
    """
    for part in ("resparse", "methods", "benchmarks", "requirements"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    nothing_frozen = shutil.ignore_patterns("frozen")
    shutil.copytree(ROOT / "baselines", folder / "baselines", ignore=nothing_frozen)
    for part in ("pyproject.toml", "noxfile.py", ".gitignore"):
        shutil.copy(ROOT / part, folder / part)
    head, *tables = (folder / TABLE).read_text().split("[[row]]\n")
    exact, tiny = '[exact]\nworkload = "imagenet_resnet50"', '[exact]\nworkload = "digits_resnet8"'
    seeds, few = "frozen_seeds = 20", f"frozen_seeds = {frozen_seeds}"
    assert exact in head
    assert seeds in head
    text = head.replace(exact, tiny).replace(seeds, few)
    kept = [table for table in tables if any(f'label = "{row}"' in table for row in rows)]
    assert len(kept) == len(rows)
    for table in kept:
        body = "".join(f"{x}\n" for x in table.splitlines() if x and not x.startswith(("#", "sm")))
        fields = ", fields = { interval = 25 }" if "interval" in body else ""
        text += f"[[row]]\n{body}smoke = {{ recipe = {{ epochs = {epochs} }}{fields} }}\n\n"
    (folder / TABLE).write_text(text)
    published = folder / "baselines/published/itop/table2.csv"
    header, *cells = published.read_text().splitlines(keepends=True)
    split = [(cell, cell.split(",")) for cell in cells]
    published.write_text(header + "".join(c for c, x in split if x[0] in rows and x[2] == "top1"))
    return folder


def git(folder, *arguments):
    """Output of git in ``folder``."""
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(folder):
    """Put all of ``folder`` into a repository of its own; returns the commit."""
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "all")
    return git(folder, "rev-parse", "HEAD")


def use(folder, monkeypatch):
    """Make the commands of this process work on ``folder`` instead of this checkout."""
    for path in (ROOT / "resparse").glob("[!_]*.py"):  # one imported later would keep ``folder``
        importlib.import_module(f"resparse.{path.stem}")
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "resparse" and getattr(module, "ROOT", None) == ROOT:
            monkeypatch.setattr(module, "ROOT", folder)


def python(folder, *arguments):
    """A Python process that uses the code in ``folder``, in a session of its own."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "RESPARSE_DATA")}
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
