"""How a paper trains, value by value: stated, inferred or unknown.

A protocol of benchmarks/<paper>/protocols/ has two tables. ``run`` are the values that runs carry:
check.py compares each with every run that the artifacts plan at the paper's level.
``code`` is what no run carries, since the code does it alike in all of them: nothing compares it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from resparse.errors import Missing, UsageError
from resparse.reading import Many, Some, Table, Text, distinct, read, read_text, toml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "protocols"  # of benchmarks/<paper>/
STATUSES = ("stated", "inferred", "unknown")


def _plain(value: Any) -> Any:
    parts = [part for one in _list(value) for part in _list(one)]
    if not parts or not all(isinstance(part, bool | int | float | str) for part in parts):
        raise ValueError("a number, a text, true, false or a list of them")
    return value


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


class Said(Table):
    """A value that is trained with, and what the paper says of it.

    ``rows``: patterns of row labels, where it is not of all that carry the key; a list is of values
    that each of these rows' names has.
    """

    value: Annotated[Any, AfterValidator(_plain)]
    status: Literal["stated", "inferred", "unknown"]
    where: str = ""  # the place in the paper
    why: str = ""
    rows: Many[Text] = ()

    @model_validator(mode="after")
    def _reasoned(self) -> Self:
        if self.status != "unknown" and not self.where:
            raise ValueError(f"status = {self.status!r} without where; valid: the place in a paper")
        if self.status != "stated" and not self.why:
            raise ValueError(f"status = {self.status!r} without why; valid: the value's reason")
        return self

    def covers(self, label: str) -> bool:
        """Whether it is of the row with that label."""
        return meant(self.rows, label)


def meant(patterns: Sequence[str], label: str) -> bool:
    """Whether a label is of one of the patterns; all are of none.

    >>> meant(["SET *"], "SET length 2"), meant((), "Dense"), meant(["SET *"], "SET-stopped")
    (True, True, False)
    """
    return not patterns or any(fnmatchcase(label, pattern) for pattern in patterns)


class Base(Table):
    """The table [[base]]: values that protocols have in common.

    ``like``: names whose values it has too, the later over the earlier, its own over all.
    ``taken_over``: why what those state is only inferred here.
    """

    name: Text
    like: Many[Text] = ()
    taken_over: str = ""
    run: dict[str, Any] = Field(default_factory=dict)
    code: dict[str, Any] = Field(default_factory=dict)


class Entry(Base):
    """The table [[protocol]]: of these artifacts, or of the rows that ``rows`` are patterns of."""

    title: Text
    artifacts: Some[Text]
    rows: Many[Text] = ()


class File(Table):
    """A whole file."""

    base: Many[Base] = ()
    protocol: Many[Entry] = ()


@dataclass(frozen=True)
class Value:
    """A key with one thing said of it, and the file that says so."""

    table: str  # run or code
    key: str
    said: Said
    file: str


Values = dict[tuple[str, str], tuple[Value, ...]]  # by table and key


@dataclass(frozen=True)
class Protocol:
    """An entry with all that it has from others."""

    entry: Entry
    file: str
    values: tuple[Value, ...] = field(default=())

    def has(self, artifact: str, label: str) -> bool:
        """Whether the row of an artifact (table1) is trained by it."""
        return artifact in self.entry.artifacts and meant(self.entry.rows, label)


def load(paper: str) -> list[Protocol]:
    """All protocols of a paper, by file; raises UsageError for a bad one, naming file and key."""
    folder = ROOT / "benchmarks" / paper / FOLDER
    if not folder.is_dir():
        valid = ", ".join(sorted(p.parent.name for p in ROOT.glob(f"benchmarks/*/{FOLDER}")))
        if not valid:
            raise Missing(f"no folder {ROOT / 'benchmarks'}: protocols are read from a checkout")
        raise UsageError(f"no protocols of paper {paper!r}; valid: {valid}")
    texts = {str(path.relative_to(ROOT)): path for path in sorted(folder.glob("*.toml"))}
    return parse({where: read_text(path, where) for where, path in texts.items()})


def parse(texts: Mapping[str, str]) -> list[Protocol]:
    """The protocols in the texts of files; raises UsageError naming file and key."""
    known: dict[str, tuple[Base, str]] = {}
    entries: list[tuple[Entry, str]] = []
    for where, text in texts.items():
        file = read(File, toml(text, where), where)
        for given in (*file.base, *file.protocol):
            distinct((*known, given.name), "name", where)
            known[given.name] = (given, where)
        entries += [(entry, where) for entry in file.protocol]
    whole = {name: _values(name, known, ()).values() for name in known}
    return [
        Protocol(entry, where, tuple(value for several in whole[entry.name] for value in several))
        for entry, where in entries
    ]


def _values(name: str, known: Mapping[str, tuple[Base, str]], above: tuple[str, ...]) -> Values:
    entry, file = known[name]
    where = f"{file}, {name}"
    if name in above:
        raise UsageError(f"{where}: like leads back to itself, {' -> '.join((*above, name))}")
    found: Values = {}
    for other in entry.like:
        if other not in known:
            raise UsageError(f"{where}: like has {other!r}; valid: {', '.join(known)}")
        found |= _values(other, known, (*above, name))
    if entry.taken_over:
        found = {
            place: tuple(_taken_over(value, entry.taken_over) for value in values)
            for place, values in found.items()
        }
    for table, given in (("run", entry.run), ("code", entry.code)):
        for key, said in given.items():
            at = f"{where}: {table}.{key}"
            several = said if said and isinstance(said, list) else [said]
            found[table, key] = tuple(Value(table, key, read(Said, s, at), file) for s in several)
    return found


def _taken_over(value: Value, why: str) -> Value:
    said = value.said
    if said.status != "stated":
        return value
    whole = "; ".join(filter(None, (why, said.why)))
    said = said.model_copy(update={"status": "inferred", "why": whole})
    return replace(value, said=said)
