"""Protocols held against what is trained: each value against every run at the paper's level."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from resparse import artifact as artifacts
from resparse import registry
from resparse.artifact import PROTOCOL, Artifact, Planned, Row
from resparse.claims.gathered import tables
from resparse.data import describe
from resparse.data.protocol import asked
from resparse.errors import UsageError
from resparse.method import Method
from resparse.protocols.protocol import Protocol, Value, load, meant

OPTIONAL = ("epochs",)  # the steps say it too, and 32,000 steps of 4096 are no whole number of them
SEVERAL = ("lr_drops",)  # a list each; of others a list is one value after another
LEFT_OUT = {  # fields of Run that are no part of a protocol
    "dataset_sha256": "which files were read",
    "engine": "how it is computed; a level says it",
    "snapshots": "what is kept for a row that starts there: rewind",
    "method_sha256": "of the suite's own methods empty",
    "workload_sha256": "of the suite's own workloads empty",
    "test_every_epoch": "follows from the accuracies that are measured",
}


@dataclass(frozen=True)
class Trained:
    """A row's runs at the paper's level, by the keys of a protocol's table ``run``."""

    artifact: str
    label: str
    name: str  # what the paper calls the row
    values: Mapping[str, list[Any]]  # of a key each value that a sparsity or seed has


def trained(protocol: Protocol, found: Mapping[str, Artifact]) -> list[Trained]:
    """Its rows; ``found``: the paper's artifacts by name. Raises UsageError for an unknown one."""
    rows = []
    for name in protocol.entry.artifacts:
        if name not in found:
            at = f"{protocol.file}, {protocol.entry.name}: artifacts has {name!r}"
            raise UsageError(f"{at}; valid: {', '.join(found)}")
        table, values = found[name], dict[str, dict[str, list[Any]]]()
        seeds = table.level(PROTOCOL).seeds
        for item in artifacts.plan(table, PROTOCOL, "unread", seeds=seeds):
            if protocol.has(name, item.label):
                of_row = values.setdefault(item.label, {})
                for key, value in carried(table, table.row(item.label), item).items():
                    one = list(value) if isinstance(value, tuple) else value
                    known = of_row.setdefault(key, [])
                    known += [] if one in known else [one]
        rows += [Trained(name, label, table.row(label).name, v) for label, v in values.items()]
    return rows


def carried(table: Artifact, row: Row, item: Planned) -> dict[str, Any]:
    """The values of a run that a protocol speaks of; an ``order`` only where masks move."""
    run, recipe = item.run, asdict(item.run.recipe)
    dataset = asked(run.dataset)
    epochs = run.recipe.steps / (describe(run.dataset).train_size // run.recipe.batch_size)
    fields = dict(run.fields)
    if registry.load(run.method).updates_at is Method.updates_at:
        del fields["order"]
    values = {
        "model": run.model,
        "dataset": dataset.dataset,
        "held_out": int(dataset.val),
        "borders": dataset.pad,
        **recipe,
        "epochs": epochs,
        "precision": run.precision,
        "seeds": len(table.level(PROTOCOL).seeds),
        "seed_values": run.seed,
        "accuracy": table.accuracy,
        "method": run.method,
    }
    if run.distribution != "dense":
        values |= {"sparsity": round(1 - run.density, 9), "distribution": run.distribution}
    if row.parent is not None:
        values |= {"parent": row.parent.row, "rewind": run.start_step}
    return values | fields


def check(protocol: Protocol, rows: Sequence[Trained]) -> None:
    """Raise UsageError unless the protocol says every value of its rows' runs, and no other."""
    keys = dict.fromkeys(key for row in rows for key in row.values)
    _check_patterns(protocol, [row.label for row in rows])
    for value in protocol.values:
        at = _at(protocol, value)
        if (value.key in keys) != (value.table == "run"):
            valid = f"in run {', '.join(keys)}; in code what no run carries"
            raise UsageError(f"{at} = {value.said.value!r}; valid: {valid}")
        if value.table == "run":
            _compare(value, [row for row in rows if value.key in row.values], at)
    for key in keys:
        said = [value for value in protocol.values if value.key == key]
        for row in (row for row in rows if key in row.values):
            times = sum(value.said.covers(row.label) for value in said)
            if times > 1 or (times == 0 and key not in OPTIONAL):
                raise UsageError(
                    f"{protocol.file}, {protocol.entry.name}: run.{key} is said {times} times of "
                    f"row {row.label}, trained with {_said(row.values[key])}; valid: once"
                )


def _at(protocol: Protocol, value: Value) -> str:
    return f"{value.file}, {protocol.entry.name}: {value.table}.{value.key}"


def _check_patterns(protocol: Protocol, labels: Sequence[str]) -> None:
    """Raise UsageError for a pattern of no row."""
    patterns = [(f"{protocol.file}, {protocol.entry.name}:", protocol.entry.rows)]
    patterns += [(f"{_at(protocol, value)}:", value.said.rows) for value in protocol.values]
    for at, rows in patterns:
        for pattern in rows:
            if not any(meant([pattern], label) for label in labels):
                valid = f"patterns of {', '.join(labels) or 'a row'}"
                raise UsageError(f"{at} rows has {pattern!r}; valid: {valid}")


def _compare(value: Value, rows: Sequence[Trained], at: str) -> None:
    """Raise UsageError unless each name of the rows that it covers has the value, or all of them.

    ``rows``: those whose runs carry the key.
    """
    by_name: dict[tuple[str, str], list[Any]] = {}
    for row in (row for row in rows if value.said.covers(row.label)):
        known = by_name.setdefault((row.artifact, row.name), [])
        known += [one for one in row.values[value.key] if one not in known]
    said = value.said.value
    several = isinstance(said[0] if value.key in SEVERAL else said, list)
    each = said if several else [said]
    if not by_name:
        raise UsageError(f"{at} = {said!r}: rows has none that carries it; valid: one that does")
    for (artifact, name), known in by_name.items():
        alike = all(any(_same(a, b) for b in known) for a in each)
        if not alike or len(known) != len(each):
            raise UsageError(
                f"{at} = {said!r}; {name} of {artifact} is trained with {_said(known)}; valid: "
                "what is trained"
            )


def _same(one: Any, other: Any) -> bool:
    return bool(one == other and isinstance(one, bool) == isinstance(other, bool))


def _said(values: Sequence[Any]) -> str:
    return repr(values[0] if len(values) == 1 else values)


def checked(paper: str) -> list[Protocol]:
    """All protocols, each true of its runs, and each row of the paper's artifacts in one of them.

    Raises UsageError naming file and key, or artifact and row.
    """
    protocols = load(paper)
    found = {table.name: table for table in tables(paper)}
    for protocol in protocols:
        check(protocol, trained(protocol, found))
    for name, label, within in _places(protocols, found):
        if len(within) != 1:
            why = f"is in {len(within)} protocols ({', '.join(within) or 'none'})"
            raise UsageError(f"benchmarks/{paper}/{name}.toml: row {label} {why}; valid: in one")
    return protocols


def _places(
    protocols: Sequence[Protocol], found: Mapping[str, Artifact]
) -> Iterator[tuple[str, str, list[str]]]:
    for name, table in found.items():
        for row in table.rows:
            yield name, row.label, [p.entry.name for p in protocols if p.has(name, row.label)]
