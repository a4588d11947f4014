"""Python files from outside the checkout: kept as a copy in the run store, hashed, loaded from it.

The copy is what runs: an edit never mixes two versions, and a record can always be explained.
"""

import importlib.util
import sys
import traceback
from contextlib import AbstractContextManager, redirect_stdout
from importlib import metadata
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

from resparse.errors import UsageError
from resparse.files import file_sha256, sha256, write_atomic, writing
from resparse.reading import sentence

ENTRY_POINTS = "resparse.methods"  # the group under which an installed package names its methods


def named_file(reference: str, folder: str) -> tuple[str, Path]:
    """(name, file) of a path like my_method.py; raises UsageError where it is no Python file.

    ``folder`` says what it is one of, "method" or "workload".
    """
    file = Path(reference).expanduser().resolve()
    if not file.is_file():
        raise UsageError(f"{folder} file {reference}: there is none; valid: one Python file")
    if file.suffix != ".py" or not file.stem.isidentifier():
        raise UsageError(
            f"{folder} file {reference}: its name is the {folder}'s; valid: like my_{folder}.py"
        )
    return file.stem, file


def installed(name: str) -> Path | None:
    """The file of a method that an installed package offers as an entry point, if there is one.

    Raises UsageError where two packages offer the name, and where the module is not there.
    """
    points = {p.value: p for p in metadata.entry_points(group=ENTRY_POINTS, name=name)}
    if len(points) > 1:
        offered = ", ".join(sorted(points))
        raise UsageError(f"method {name} is offered by several packages: {offered}; valid: one")
    for value, point in points.items():
        try:
            module = importlib.util.find_spec(point.module)
        except ImportError as error:
            raise UsageError(f"entry point {value!r} of method {name}: {error}") from error
        if module is None or module.origin is None:
            raise UsageError(f"entry point {value!r} of method {name}: no such module")
        return Path(module.origin)
    return None


def copied(file: Path, store: Path, kind: str, name: str = "") -> tuple[Path, str]:
    """The copy of ``file`` in the store's folder ``kind``, and the sha256 of its bytes.

    It is called ``name`` (default: as the file) and its hash.
    """
    data = file.read_bytes()
    digest = sha256(data)
    copy = copy_of(store, kind, name or file.stem, digest)
    if not copy.is_file() or file_sha256(copy) != digest:
        with writing(copy):
            copy.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(copy, data)
    return copy, digest


def copy_of(store: Path, kind: str, name: str, digest: str) -> Path:
    """Where the copy of a file lies."""
    return store / kind / f"{name}-{digest[:16]}.py"


def prints_aside() -> AbstractContextManager[object]:
    """Send what code from outside prints to stderr: stdout is the command's own, often JSON."""
    return redirect_stdout(sys.stderr)


def load_module(name: str, file: Path) -> ModuleType:
    """The module in ``file``; whatever it raises becomes a UsageError with its own line."""
    full = f"resparse_outside.{name}"
    spec = importlib.util.spec_from_file_location(full, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"{file} cannot be imported; valid: a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[full] = module  # dataclasses look their module up
    try:
        with prints_aside():
            spec.loader.exec_module(module)
    except Exception as error:
        raise blamed(name, file, error) from error
    return module


def blamed(name: str, file: Path, error: Exception, *, line: int | None = None) -> UsageError:
    """What ``error`` says, and at which line of the file it was met, else that it is about."""
    lines = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file)]
    at = lines[-1].lineno if lines else getattr(error, "lineno", line)
    where = f"{name}.py, line {at}" if at else f"{name}.py"
    if isinstance(error, ValidationError):  # of a RecipeSpec, mostly
        return UsageError(f"{where}: {error.title}: {sentence(error)}")
    # a SyntaxError's own text names the copy in the store
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return UsageError(f"{where}: {type(error).__name__}: {' '.join(text.split())}")
