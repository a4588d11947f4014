"""A sweep as data: axes and their values -> one row a point, each with its coordinates.

A [[sweep]] of a benchmark is a [[row]] with ``axes``. An axis is named by what its values set: a
field of the method (interval, alpha), a key of the recipe (batch_size) or ``length``.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from resparse import registry
from resparse.errors import UsageError
from resparse.reading import distinct
from resparse.recipe import RecipeSpec
from resparse.table import Sweep, SweepAtLevel, Value, read_with_levels

_AXIS = re.compile(r"\{(\w*)\}")  # in a label
LENGTH = "length"


def expand(
    table: Mapping[str, Any], number: int, levels: Sequence[str], where: str
) -> list[dict[str, Any]]:
    """The rows of the ``number``-th sweep as a file would say them, the first axis outermost.

    Each has its ``coordinates``, axis -> value, and at a level those of the level. Raises
    UsageError naming the sweep and the key for anything invalid.
    """
    where = f"{where}, sweep {table.get('label', f'number {number}')}"
    sweep = read_with_levels(Sweep, SweepAtLevel, table, levels, where)
    places = {axis: _place(sweep.method, axis, where) for axis in sweep.axes}
    _check(sweep, where)
    same = {key: table[key] for key in table if key not in ("axes", "label", *levels)}
    points = [
        dict(zip(sweep.axes, at, strict=True))
        for at in product(*(range(len(values)) for values in sweep.axes.values()))
    ]
    return [_row(sweep, same, point, places, levels) for point in points]


def _row(
    sweep: Sweep,
    same: Mapping[str, Any],
    point: Mapping[str, int],
    places: Mapping[str, str],
    levels: Sequence[str],
) -> dict[str, Any]:
    """The row at ``point``, axis -> place of its value in the axis."""
    here = {axis: sweep.axes[axis][n] for axis, n in point.items()}
    row = {**same, "label": _AXIS.sub(lambda name: str(here[name[1]]), sweep.label)}
    row["coordinates"] = here
    row["fields"] = {**sweep.fields, **_at(places, "fields", here)}
    if LENGTH in here:
        row[LENGTH] = here[LENGTH]
    for name in levels:
        level = sweep.at(name)
        there = {axis: level.axes.get(axis, sweep.axes[axis])[n] for axis, n in point.items()}
        row[name] = {
            "fields": {**level.fields, **_at(places, "fields", there)},
            "recipe": {**level.recipe, **_at(places, "recipe", there)},
            "coordinates": there,
            **({LENGTH: there[LENGTH]} if LENGTH in there else {}),
            "left_out": any(here[axis] in values for axis, values in level.leave_out.items()),
        }
    return row


def _at(places: Mapping[str, str], place: str, point: Mapping[str, Value]) -> dict[str, Value]:
    return {axis: value for axis, value in point.items() if places[axis] == place}


def _place(method: str, axis: str, where: str) -> str:
    """What an axis sets: "fields", "recipe" or "length"; an unknown name lists the valid ones."""
    fields = registry.own_fields(registry.load(method))
    if axis in fields:
        return "fields"
    if axis in RecipeSpec.model_fields:
        return "recipe"
    if axis == LENGTH:
        return LENGTH
    valid = ", ".join([*fields, *RecipeSpec.model_fields, LENGTH])
    raise UsageError(f"{where}: axes has {axis!r}; valid: {valid}")


def _check(sweep: Sweep, where: str) -> None:
    """Raise UsageError for axes that name no points, or the same one twice."""
    named = _AXIS.findall(sweep.label)
    for name in named:
        if name not in sweep.axes:
            valid = ", ".join(f"{{{axis}}}" for axis in sweep.axes)
            raise UsageError(f"{where}: label has {{{name}}}; valid: {valid}")
    for axis, values in sweep.axes.items():
        distinct(values, "value", f"{where}: axes.{axis}")
        if axis not in named and len(values) > 1:
            raise UsageError(
                f"{where}: label = {sweep.label!r} is the same for all values of {axis}; valid: "
                f"one with {{{axis}}}"
            )
        _check_set_once(axis, {"fields": sweep.fields}, where)
    for name, level in sweep.levels.items():
        _check_level(sweep, level, f"{where}, {name}")


def _check_set_once(axis: str, given: Mapping[str, Mapping[str, Any]], where: str) -> None:
    for what, values in given.items():
        if axis in values:
            raise UsageError(f"{where}: {what} has {axis!r}, an axis; valid: one of the two")


def _check_level(sweep: Sweep, level: SweepAtLevel, where: str) -> None:
    """Raise UsageError for values that are not one to one with the sweep's, or leave no point."""
    for what, given in (("axes", level.axes), ("leave_out", level.leave_out)):
        for axis, values in given.items():
            if axis not in sweep.axes:
                raise UsageError(f"{where}: {what} has {axis!r}; valid: {', '.join(sweep.axes)}")
            distinct(values, "value", f"{where}: {what}.{axis}")
    for axis in sweep.axes:
        _check_set_once(axis, {"fields": level.fields, "recipe": level.recipe}, where)
    for axis, values in level.axes.items():
        if len(values) != len(sweep.axes[axis]):
            raise UsageError(
                f"{where}: axes.{axis} has {len(values)} values; valid: {len(sweep.axes[axis])}, "
                "one for each of the sweep's, in their order"
            )
    for axis, values in level.leave_out.items():
        unknown = [value for value in values if value not in sweep.axes[axis]]
        if unknown:
            valid = ", ".join(map(str, sweep.axes[axis]))
            raise UsageError(f"{where}: leave_out.{axis} has {unknown[0]}; valid: {valid}")
        if len(values) == len(sweep.axes[axis]):
            raise UsageError(f"{where}: leave_out.{axis} leaves no point; valid: fewer values")
