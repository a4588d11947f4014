"""What a claim asks of the numbers, as its TOML says it: one table a part, by ``test``."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from resparse.claims.evidence import DERIVED, METRICS
from resparse.claims.point import AXES, ENDS, NAMES, NUMBERS, RANGE
from resparse.errors import UsageError
from resparse.reading import Many, NotNegative, Positive, Some, Table, read

KNOWN = (*METRICS, *DERIVED)


def _axis(name: str) -> str:
    if name not in AXES:
        raise ValueError(f"one of {', '.join(AXES)}")
    return name


def _metric(name: str) -> str:
    if name not in KNOWN:
        raise ValueError(f"one of {', '.join(KNOWN)}")
    return name


def _filter(table: dict[str, Any]) -> dict[str, Any]:
    for key, value in table.items():
        if key == "metric":
            _metric(value)
        elif key not in (*AXES, "times"):
            raise ValueError(f"keys {', '.join(AXES)}, metric, times; not {key}")
        elif isinstance(value, Mapping) and not value.keys() <= set(RANGE):
            raise ValueError(f"a range of {', '.join(RANGE)}")
        elif not _of_axis(key, value):
            raise ValueError(
                f"{key} a {'text' if key in NAMES else 'number'} or several; {value!r}"
            )
    return table


def _of_axis(key: str, value: Any) -> bool:
    values = value if isinstance(value, list) else value.values() if _is_map(value) else [value]
    if key in NAMES:
        return all(isinstance(v, str) for v in values)
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    return numeric or (key in NUMBERS and value in ENDS)


def _is_map(value: Any) -> bool:
    return isinstance(value, Mapping)


Axis = Annotated[str, AfterValidator(_axis)]
Filter = Annotated[dict[str, Any], AfterValidator(_filter)]
Way = Literal["up", "down"]


class Part(Table):
    """What all parts share: ``each`` axis for all of its values, ``some`` for at least one."""

    test: str
    metric: Annotated[str, AfterValidator(_metric)] = "top1"
    each: Many[Axis] = ()
    some: Many[Axis] = ()
    records_only: bool = False  # the paper prints nothing that this part could be held against


class Above(Part):
    """``left`` - ``right`` (a side, or a number ``value``) is above ``margin``."""

    left: Filter
    right: Filter | None = None
    value: float = 0.0
    margin: float = 0.0


class Below(Part):
    """``left`` is below ``right`` (or ``value``) by more than ``margin``."""

    left: Filter
    right: Filter | None = None
    value: float = 0.0
    margin: float = 0.0


class Equal(Part):
    """``left`` and ``right`` (or ``value``) differ by at most ``margin``."""

    left: Filter
    right: Filter | None = None
    value: float = 0.0
    margin: NotNegative


class Along(Part):
    """A sweep: ``of`` these points, ``along`` an axis walked "up" or "down"."""

    of: Filter
    along: Axis
    walk: Way


class Trend(Along):
    """The metric ``goes`` one way: every step does; with ``step``, ends do and no step loses more.

    ``margin`` is what each step, or the ends, must go at least.
    """

    goes: Way
    step: NotNegative | None = None
    margin: NotNegative = 0.0


class Peak(Along):
    """It rises to a peak above ``base``; until there no step loses more than ``step``."""

    base: Filter
    step: NotNegative
    margin: NotNegative = 0.0


class Falls(Along):
    """Its last point is below an earlier one by more than ``margin``."""

    margin: NotNegative = 0.0


class Turns(Along):
    """It rises, falls and rises again, each by more than ``margin``, from the first to the last."""

    margin: NotNegative = 0.0


class Flattens(Along):
    """Per unit of 1/axis its last step gains less than its first."""


class Best(Part):
    """Over ``along`` the ``which`` value stands at one of ``among`` ("largest": at that end)."""

    of: Filter
    along: Axis
    which: Literal["highest", "lowest"]
    among: list[float] | Literal["largest", "smallest"]


class Two(Part):
    """Two sweeps over the same axis."""

    left: Filter
    right: Filter
    along: Axis


class Higher(Two):
    """The best of ``left`` is above the best of ``right``."""


class Wider(Two):
    """Best minus worst of ``left`` is more than that of ``right``."""


class Further(Two):
    """The best of ``left`` stands at a larger value of the axis than the best of ``right``."""


class Loses(Two):
    """From its best to its last point (walked) ``left`` loses more than ``right``."""

    walk: Way


class Sooner(Along):
    """The smaller ``over``, the sooner it comes within ``step`` of all that follows."""

    over: Axis
    step: NotNegative


class Saturates(Part):
    """It grows with R_s below ``full`` and from there on stays within ``margin``."""

    of: Filter
    along: Axis
    full: Positive
    margin: Positive


class Threshold(Part):
    """Some interval and R_s from which on ``least`` or more points of ``left`` match ``right``.

    Matching: above it, less ``tolerance``.
    """

    left: Filter
    right: Filter
    tolerance: NotNegative
    least: Annotated[int, Field(ge=1)]


class Bound(Part):
    """R_s is at most density x (1 + the sum of the drop fractions of all updates in ``steps``)."""

    of: Filter
    steps: Annotated[int, Field(ge=1)]


class Agree(Part):
    """Printed means differ by at most the sum of their printed standard deviations."""

    left: Filter
    right: Filter


TESTS: dict[str, type[Part]] = {
    kind.__name__.lower(): kind
    for kind in (
        *(Above, Below, Equal, Trend, Peak, Falls, Turns, Flattens, Best, Higher, Wider, Further),
        *(Loses, Sooner, Saturates, Threshold, Bound, Agree),
    )
}
SomeParts = Some[dict[str, Any]]


def read_part(table: Mapping[str, Any], where: str) -> Part:
    """The part that a table of a claim describes; raises UsageError for anything invalid."""
    test = table.get("test")
    if test not in TESTS:
        raise UsageError(f"{where}: test = {test!r}; valid: {', '.join(TESTS)}")
    part = read(TESTS[test], dict(table), where)
    if isinstance(part, Above | Below | Equal) and part.right and "value" in table:
        raise UsageError(f"{where}: right and value = {part.value:g}; valid: one of the two")
    return part
