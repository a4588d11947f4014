"""The code that decides a number, as a hash: whether two records are of the same."""

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from resparse.files import sha256

State = tuple[Path, int, int]  # a file, when it was last written, in ns, and its bytes


def fingerprint(files: Iterable[Path]) -> str:
    """Hash of the code in ``files``; comments, docstrings and formatting do not count."""
    return _fingerprint(tuple(_state(path) for path in sorted(files, key=_label)))


def _state(path: Path) -> State:
    found = path.stat()
    return path, found.st_mtime_ns, found.st_size


@cache
def _fingerprint(states: tuple[State, ...]) -> str:
    return sha256("".join(_code_only(*state) for state in states))[:16]


def _label(path: Path) -> str:
    """Folder and name, the same in a checkout and in an installed package."""
    return f"{path.parent.name}/{path.name}"


@cache
def _code_only(path: Path, mtime_ns: int, size: int) -> str:
    """The file's code, parsed once for each state of the file."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and body:
            first = body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = body[1:] or [ast.Pass()]
    return f"{_label(path)}\n{ast.unparse(tree)}\n"
