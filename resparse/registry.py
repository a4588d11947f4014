"""Method names to classes; the sole importer of methods/.

In a checkout the folder methods/ beside this package is used, never another checkout's; an
installed wheel carries it as resparse.methods. A file from outside is known once it is added.
"""

import dataclasses
import difflib
import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from resparse.blame import OWN, guarded
from resparse.errors import ResparseError, UsageError
from resparse.method import Method, Parent
from resparse.outside import load_module

_HERE = Path(__file__).resolve().parent
_PACKAGE = "resparse.methods"
_PROVIDED = ("densities", "sizes", "total_steps", "rng", "parent", "state")  # by the contract
_outside: dict[str, ModuleType] = {}
_LIMIT_S = 60.0  # of a question about a schedule, which takes microseconds a step


def methods_folder() -> Path:
    """Where the method files of this very package lie."""
    inside = _HERE / "methods"
    return inside if inside.is_dir() else _HERE.parent / "methods"


def _package() -> ModuleType:
    """resparse.methods, made from ``methods_folder`` whatever else is installed."""
    folder = methods_folder()
    loaded = sys.modules.get(_PACKAGE)
    if loaded is not None and Path(str(loaded.__file__)).parent == folder:
        return loaded
    spec = importlib.util.spec_from_file_location(
        _PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None or not folder.is_dir():
        raise UsageError(f"no methods folder at {folder}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_PACKAGE] = module
    spec.loader.exec_module(module)
    return module


def names() -> list[str]:
    """All methods there are."""
    return sorted(p.stem for p in methods_folder().glob("*.py") if not p.stem.startswith("_"))


def add(name: str, file: Path) -> type[Method]:
    """Know the method in ``file``, from outside, as ``name``; a name of the suite is refused."""
    if name in names():
        raise UsageError(f"method {name} is one of the suite's; valid: another file name")
    known = _outside.get(name)
    if known is None or known.__file__ != str(file):
        _outside[name] = load_module(name, file)
    return load(name)


def is_outside(name: str) -> bool:
    """Whether a file from outside is known by this name."""
    return name in _outside


def source(name: str) -> Path:
    """The file that defines a method."""
    if name in _outside:
        return Path(str(_outside[name].__file__))
    return methods_folder() / f"{name}.py"


def load(name: str) -> type[Method]:
    """The one Method class defined in the method's file; an unknown name lists what exists."""
    if name in _outside:
        return _class_of(_outside[name])
    file, loaded = methods_folder() / f"{name}.py", sys.modules.get(f"{_PACKAGE}.{name}")
    if loaded is None or loaded.__file__ != str(file):
        if name not in names():
            close = difflib.get_close_matches(name, names(), n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            raise UsageError(f"unknown method {name!r}{hint}; valid: {', '.join(names())}")
        _package()
        loaded = importlib.import_module(f"{_PACKAGE}.{name}")
    return _class_of(loaded)


def _class_of(module: ModuleType) -> type[Method]:
    classes = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Method)
        and value.__module__ == module.__name__
    ]
    if len(classes) != 1:
        which = f" of {', '.join(cls.__name__ for cls in classes)}" if classes else ""
        file = f"{_name_of(module.__name__)}.py"
        raise UsageError(f"{file} defines {len(classes)} Method classes; valid: one{which}")
    return classes[0]


def _name_of(module: str) -> str:
    """The method's name, which its user's file has too; the one that is loaded may be a copy."""
    return module.rpartition(".")[2]


def fresh(cls: type[Method]) -> type[Method]:
    """The method's class made anew from its file, as in a new process; the registry keeps the old.

    A class that is not the method of a file here or from outside has none, and stays itself.
    """
    module = sys.modules.get(cls.__module__)
    spec = module.__spec__ if module is not None else None
    if module is None or spec is None or spec.loader is None or not spec.name.startswith(OWN):
        return cls
    made = importlib.util.module_from_spec(spec)
    sys.modules[cls.__module__] = made  # dataclasses look their module up
    try:
        spec.loader.exec_module(made)
    finally:
        sys.modules[cls.__module__] = module
    return _class_of(made)


def own_fields(cls: type[Method]) -> dict[str, Any]:
    """The fields a user may set, with their defaults: all that the contract does not provide.

    Raises UsageError for a default that neither a run's key nor --set can take.
    """
    fields = [f for f in dataclasses.fields(cls) if f.name not in _PROVIDED]
    for f in fields:
        if type(f.default) not in (bool, int, float, str):
            made = f.default_factory is not dataclasses.MISSING
            has = "a default_factory" if made else f"default {f.default!r}"
            has = "no default" if f.default is dataclasses.MISSING and not made else has
            raise UsageError(
                f"method {_name_of(cls.__module__)}: field {f.name} has {has}; valid: a bool, int, "
                "float or str with a default value"
            )
    return {f.name: f.default for f in fields}


def resolve_fields(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """All of a method's fields, defaults filled in; unknown names and bad values are refused."""
    defaults = own_fields(load(name))
    for key, value in given.items():
        if key not in defaults:
            raise UsageError(
                f"method {name} has no field {key!r}; valid: {', '.join(sorted(defaults))}"
            )
        expected = type(defaults[key])
        number = expected is float and isinstance(value, int) and not isinstance(value, bool)
        if not number and type(value) is not expected:
            raise UsageError(f"method {name}: {key} = {value!r}; valid: a {expected.__name__}")
    fields = {k: type(v)(given.get(k, v)) for k, v in defaults.items()}
    probe(name, fields, 1)
    return fields


def probe(name: str, fields: dict[str, Any], total_steps: int) -> Method:
    """The method on one weight: its schedule, without a network."""
    parent = Parent(masks={}, train_flops=0.0, step=0) if load(name).needs_parent else None
    return build(name, fields, {"probe": 1.0}, {"probe": 1}, total_steps, parent=parent)


def require_update(name: str, fields: dict[str, Any], total_steps: int) -> None:
    """Refuse a schedule under which a method that moves its masks would never do so."""
    method = probe(name, fields, total_steps)
    if type(method).updates_at is not Method.updates_at and not _moves(name, method):
        raise UsageError(
            f"method {name}: no mask update within {total_steps} steps (interval = "
            f"{fields.get('interval')}): it would train as static; valid: a shorter interval"
        )


def due_steps(name: str, method: Method, error: type[ResparseError] = UsageError) -> list[int]:
    """The 0-based steps at which masks may move; an ``error`` names the step that fails."""
    due = []
    with guarded(name, 0, {}, what="updates_at", error=error) as at:
        for at.step in range(method.total_steps):
            if method.updates_at(at.step):
                due.append(at.step)
    return due


def _moves(name: str, method: Method) -> bool:
    """Whether masks ever move; it asks no further than the first step at which they do."""
    with guarded(name, 0, {}, what="updates_at", limit_s=_LIMIT_S, error=UsageError) as at:
        for at.step in range(method.total_steps):
            if method.updates_at(at.step):
                return True
    return False


def rs_is_exact(method: Method) -> bool:
    """Whether R_s is known without training: masks stay, or grow uniformly at random."""
    name = type(method).__module__.rpartition(".")[2]
    with guarded(name, 0, {}, what="random_growth_at", limit_s=_LIMIT_S, error=UsageError):
        growth = method.random_growth_at(0)
    return growth is not None or not _moves(name, method)


def build(
    name: str,
    fields: dict[str, Any],
    densities: dict[str, float],
    sizes: dict[str, int],
    total_steps: int,
    parent: Parent | None = None,
) -> Method:
    """A method ready for one run; what it raises becomes a UsageError naming the method."""
    cls = load(name)
    with guarded(name, None, {}, what="its constructor", limit_s=_LIMIT_S, error=UsageError):
        try:
            return cls(
                densities=densities,
                sizes=sizes,
                total_steps=total_steps,
                rng=torch.Generator(),
                parent=parent,
                **fields,
            )
        except ValueError as error:  # a field's value: the user's, not the method's fault
            raise UsageError(f"method {name}: {error}") from error
