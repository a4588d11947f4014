"""Where runs stand, as lines: a table as a grid of rows x seeds, and a line for each to see."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from resparse.heartbeat import Pace
from resparse.progress import named
from resparse.status.standing import FINISHED, STATES, Standing

QUIET = ("done", "stale", "waiting")  # all there is to say of these is in the grid or the count
SILENT_S = 60.0  # since a training last told its step: worth saying
COLUMNS = 100


class Seen(NamedTuple):
    """A run, what it is called here, and where it stands."""

    key: str
    name: str
    standing: Standing
    label: str = ""  # the row, sparsity and seed of a table; "" of a store
    sparsity: float = 0.0
    seed: int = 0

    def as_json(self) -> dict[str, Any]:
        """Plain values; ``left_s`` at the pace so far."""
        pace, state = self.standing.pace, self.standing
        cell = {"row": self.label, "sparsity": self.sparsity} if self.label else {}
        run = state.run and {"method": state.run.method, "seed": state.run.seed}
        told = pace._asdict() | {"left_s": pace.left_s} if pace else None
        return {
            "key": self.key,
            **cell,
            **({"seed": self.seed} if self.label else run or {}),
            "state": state.state,
            "reason": state.reason,
            "progress": told,
            "checkpoint": state.checkpoint,
        }


def counted(states: Iterable[str]) -> str:
    """How many runs there are, and of each state, in the order of STATES."""
    count = Counter(states)
    total = f"{count.total():,} run" + "s" * (count.total() != 1)
    return ": ".join(
        [total, *[", ".join(f"{count[s]} {s}" for s in STATES if count[s])] * bool(count)]
    )


def details(seen: Iterable[Seen]) -> list[str]:
    """A line for each run that is not simply done or waiting, those of one state together."""
    order = [state for state in (*STATES[len(FINISHED) :], *FINISHED) if state not in QUIET]
    found = {s.key: s for s in reversed(list(seen)) if s.standing.state in order}
    listed = sorted(found.values(), key=lambda s: order.index(s.standing.state))
    return [f"{s.standing.state:9} {s.key}  {s.name}: {said(s.standing)}" for s in listed]


def said(found: Standing) -> str:
    """What there is to say of a run's state."""
    if found.state == "running":
        return in_words(found.pace) if found.pace else "before its first step"
    if found.state != "stopped":
        return found.reason.splitlines()[0] if found.reason else "no reason is given"
    was = f"at step {found.pace.step:,} or later, " if found.pace else ""
    again = "step 0" if found.checkpoint is None else f"step {found.checkpoint:,}"
    return f"{was}no process is at it; the command that trains it continues from {again}"


def in_words(pace: Pace) -> str:
    """How far, how fast, how long; and since when a training has told nothing."""
    text = f"step {pace.step:,} of {pace.steps:,} ({percent(pace)})"
    if pace.steps_per_s:
        text += f", {pace.steps_per_s:.3g} steps/s"
    if pace.left_s is not None:
        text += f", {duration(pace.left_s)} left"
    if pace.silent_s is not None and pace.silent_s >= SILENT_S:
        text += f", silent for {duration(pace.silent_s)}"
    return text


def percent(pace: Pace) -> str:
    """The share of steps done, rounded down."""
    return f"{100 * pace.step // max(1, pace.steps)} %"


def duration(seconds: float) -> str:
    """Minutes and seconds, with hours and days where there are any.

    >>> duration(8.4), duration(3725), duration(200_000)
    ('0:08', '1:02:05', '2 d 7:33:20')
    """
    minutes, s = divmod(int(seconds), 60)
    hours, m = divmod(minutes, 60)
    if not hours:
        return f"{m}:{s:02d}"
    days = f"{hours // 24} d " if hours >= 24 else ""
    return f"{days}{hours % 24}:{m:02d}:{s:02d}"


def grid(seen: Sequence[Seen]) -> list[str]:
    """Rows x seeds, sparsity by sparsity; the seeds in parts where they are wider than a page."""
    labels = max([len("sparsity 0.9"), *(len(s.label) + 2 for s in seen)])
    words = {(s.sparsity, s.label, s.seed): word(s.standing) for s in seen}
    width = max([7, *map(len, words.values())])
    seeds, lines = sorted({s.seed for s in seen}), list[str]()
    fit = max(1, (COLUMNS - labels) // (width + 2))
    for part in (seeds[i : i + fit] for i in range(0, len(seeds), fit)):
        for sparsity in dict.fromkeys(s.sparsity for s in seen):
            heads = "".join(f"  {f'seed {seed}':>{width}}" for seed in part)
            lines += ["", f"{f'sparsity {sparsity:.6g}':{labels}}{heads}"]
            for label in dict.fromkeys(s.label for s in seen if s.sparsity == sparsity):
                row = (words.get((sparsity, label, seed), "") for seed in part)
                lines.append(f"{f'  {label}':{labels}}" + "".join(f"  {w:>{width}}" for w in row))
    return [line.rstrip() for line in lines]


def word(found: Standing) -> str:
    """A state in a cell of the grid."""
    if found.state == "running":
        return percent(found.pace) if found.pace else "starting"
    return found.state.upper() if found.state in ("failed", "damaged") else found.state


def name_of(found: Standing) -> str:
    """A run of a store, by what its folder says of it."""
    return named(found.run) if found.run else "not known: no manifest that this version reads"
