"""REPRODUCING.md's first commands print what is written there."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMMAND = re.compile(r"^\$ (.+)$", re.MULTILINE)
INSTALLS = "pip install nox uv && "  # done: this is nox's environment


def commands() -> list[tuple[str, str]]:
    """(command, what it prints) of each block of the section, in order."""
    text = (ROOT / "REPRODUCING.md").read_text()
    section = text[text.index("## Kick the tyres") : text.index("## Every artifact")]
    blocks = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
    found = []
    for block in blocks:
        (command,) = COMMAND.findall(block)
        found.append((command, block.split("\n", 1)[1]))
    return found


def printed(command: str) -> str:
    """What the shell prints for it in the checkout; nox's own lines are on stderr."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command.removeprefix(INSTALLS)],
        cwd=ROOT,
        env={**os.environ, "PATH": programs, "COLUMNS": "160"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_each_is_one_command_and_the_first_installs():
    found = commands()
    assert len(found) == 5
    assert found[0][0].startswith(INSTALLS)
    for _, said in found:
        assert len(said.replace("...", "").split()) > 20  # an ellipsis is no output


def matches(written: str, got: str) -> bool:
    """Line by line: ... alone is any lines, also none; ... in a line is anything in it."""
    any_lines, in_line = r"(?:.*\n)*?", ".*"
    pattern = "".join(
        any_lines if line == "..." else re.escape(line).replace(r"\.\.\.", in_line) + "\n"
        for line in written.rstrip().splitlines()
    )
    return (
        re.fullmatch(pattern, "".join(f"{x.rstrip()}\n" for x in got.rstrip().splitlines()))
        is not None
    )


def compare(command: str, written: str) -> None:
    """Fail with what was printed where it is not what is written."""
    if not Path(sys.prefix).name.startswith("env-"):
        pytest.skip(f"{sys.prefix} is of another lock than the commands' (nox -s tests)")
    got = printed(command)
    assert matches(written, got), f"{command} printed:\n{got}\nand is written to print:\n{written}"


def test_the_first_prints_what_is_written():
    compare(*commands()[0])


@pytest.fixture
def reports_stay(tmp_path: Path) -> Iterator[None]:
    """What a command writes over the checkout's reports is put back."""
    reports, kept = ROOT / "reports", tmp_path / "reports"
    shutil.copytree(reports, kept)
    yield
    for file in [path for path in reports.rglob("*") if path.is_file()]:
        before = kept / file.relative_to(reports)
        if not before.exists():
            file.unlink()
        elif before.read_bytes() != file.read_bytes():
            shutil.copyfile(before, file)


@pytest.mark.fault
@pytest.mark.long
@pytest.mark.usefixtures("reports_stay")
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_the_others_print_what_is_written(number):
    compare(*commands()[number])


def test_another_number_or_line_is_seen():
    _, written = commands()[0]
    without = "".join(x for x in written.splitlines(keepends=True) if x != "...\n")
    assert matches(written, without)
    assert not matches(written, without.replace("0.2418", "0.2419"))
    assert not matches(written, without.replace("cells: 3 EXACT\n", ""))
    assert matches("a\n...\nb ... c", "a\nany\nlines\nb 1 c")
    assert not matches("a\n...\nb ... c", "a\nb 1\nc")
