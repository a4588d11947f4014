"""What a method shares with everyone in its process: random streams, torch's settings, the clock.

While it is asked, the streams and settings are to stay as they are, and whatever does not follow
the seed is out of its reach.
"""

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import torch

from resparse.errors import ContractBroken

# name: how it is read and how it is set
SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "grad mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "number of threads": (torch.get_num_threads, torch.set_num_threads),
    "deterministic algorithms": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
    "float32 matmul precision": (
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    "cudnn.deterministic": (
        lambda: torch.backends.cudnn.deterministic,
        lambda value: setattr(torch.backends.cudnn, "deterministic", value),
    ),
}
# a method is given a generator; these make another, or tell the time to seed one by
CHANCE = {
    "torch": ("Generator",),
    "random": ("Random", "SystemRandom"),
    "numpy.random": ("default_rng", "Generator", "RandomState"),
    "os": ("urandom", "getpid"),
    "datetime": ("datetime", "date"),
    "time": (
        *("time", "monotonic", "perf_counter", "process_time", "thread_time"),
        *("time_ns", "monotonic_ns", "perf_counter_ns", "process_time_ns", "thread_time_ns"),
    ),
}
_asked: list[tuple[str, int | None]] = []  # what the method was asked last, and at which step
LIBRARIES = sys.stdlib_module_names | {"torch", "numpy"}  # may do so for purposes of their own


def streams() -> dict[str, object]:
    """The states of the random streams that everyone shares."""
    states: dict[str, object] = {"random": random.getstate()}
    states["torch"] = torch.get_rng_state().numpy().tobytes()
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None:
        kind, keys, *rest = numpy.random.get_state()
        states["numpy.random"] = (kind, keys.tobytes(), *rest)
    return states


@contextmanager
def streams_kept(what: str, step: int | None) -> Iterator[None]:
    """ContractBroken where a shared random stream is not as it was."""
    before = streams()
    yield
    for name, state in streams().items():
        if before.get(name, state) != state:
            raise ContractBroken(
                f"{what} used the random stream of {name}, which data order and initialisation "
                "may share; valid: draws from self.rng",
                step=step,
            )


@contextmanager
def settings_kept(what: str, step: int | None) -> Iterator[None]:
    """ContractBroken where a setting of torch is not as it was; it is put back in any case."""
    before = [(name, read(), put) for name, (read, put) in SETTINGS.items()]
    changed = []
    try:
        yield
    finally:
        for name, value, put in before:
            now = SETTINGS[name][0]()
            if now != value:
                put(value)
                changed.append(f"{name} from {value} to {now}")
    if changed:
        raise ContractBroken(
            f"{what} changed torch's {changed[0]}, for all that comes after it; valid: settings "
            "left as they are, or put back",
            step=step,
        )


@contextmanager
def no_chance(cls: type, what: str, step: int | None) -> Iterator[None]:
    """ContractBroken where the method makes a random generator or looks at a clock (CHANCE).

    Also under a name of its own file. All is put back afterwards.
    """

    _asked[:] = [(what, step)]
    guarded = []
    for home, parts in CHANCE.items():
        module = sys.modules.get(home)
        for part in parts if module is not None else ():
            original = getattr(module, part)
            guard = _guard(f"{home}.{part}", original)
            guarded.append((module, part, original, guard))
    stands = {id(original): guard for _, _, original, guard in guarded}
    guarded += [
        (module, name, value, stands[id(value)])
        for module in _own_modules(cls)
        for name, value in vars(module).items()
        if id(value) in stands
    ]
    try:
        for module, name, _, guard in guarded:
            setattr(module, name, guard)
        yield
    finally:
        for module, name, original, _ in guarded:
            setattr(module, name, original)


def _own_modules(cls: type) -> list[ModuleType]:
    """The modules that define the class and its bases, less those of the contract's."""
    names = dict.fromkeys(each.__module__ for each in cls.__mro__ if each is not object)
    ours = [name for name in names if name.startswith("resparse.") and ".methods." not in name]
    return [sys.modules[name] for name in names if name in sys.modules and name not in ours]


def _refuse(name: str) -> None:
    """ContractBroken unless a library called what stands for ``name``."""
    caller = str(sys._getframe(2).f_globals.get("__name__", ""))
    if caller.partition(".")[0] not in LIBRARIES:
        what, step = _asked[0]
        raise ContractBroken(
            f"{what} used {name}, which does not follow the seed; valid: draws from self.rng",
            step=step,
        )


@cache
def _guard(name: str, original: Any) -> Any:
    """What stands for ``original``: it refuses, or answers as that does where a library asks."""
    if not isinstance(original, type):

        def function(*arguments: Any, **named: Any) -> Any:
            _refuse(name)
            return original(*arguments, **named)

        return function

    class Guard(type):
        def __call__(cls, *arguments: Any, **named: Any) -> Any:
            _refuse(name)
            return original(*arguments, **named)

        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, original)

        def __getattr__(cls, attribute: str) -> Any:
            _refuse(f"{name}.{attribute}")
            return getattr(original, attribute)

    return Guard(original.__name__, (), {})
