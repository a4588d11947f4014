"""A method of one's own, and a checkout whose panel is small, for the tests of compare."""

import dataclasses

from checkout import tiny_checkout, use

from resparse import workloads
from resparse.compare import command as compare
from resparse.pace import StepTime

MINE = '''"""Mine (ours, 2026): replace a share of the weights, by gradient, at every interval."""

from dataclasses import dataclass

from resparse.masks import Change, drop_and_grow
from resparse.method import Layers, Method
from resparse.schedules import is_due


@dataclass(kw_only=True)
class Mine(Method):
    """Never anneals."""

    interval: int = 100
    alpha: float = 0.3

    def updates_at(self, step: int) -> bool:
        return is_due(step, self.interval)

    def update_masks(self, step: int, layers: Layers) -> dict[str, Change]:
        return {
            name: drop_and_grow(x.mask, x.weight.abs(), x.grad.abs(), self.alpha, ties=self.rng)
            for name, x in layers.items()
        }
'''
PANEL = "benchmarks/compare/panel.toml"


def small(folder):
    """A checkout whose panel is two seeds of a tiny training, beside static and dense."""
    tiny_checkout(folder, rows=["Static"], epochs=1)
    text = (folder / PANEL).read_text()
    head, *baselines = text.split("[[baseline]]\n")
    for old, new in (
        ('workloads = ["digits_resnet8", "digits_mlp"]', 'workloads = ["digits_mlp"]'),
        ("seeds = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]", "seeds = [0, 1]"),
        ("fields = { interval = 25 }", "fields = { interval = 10 }"),
        ("sparsities = [0.9, 0.95]", "sparsities = [0.9]"),
    ):
        assert head.count(old) == 1, old
        head = head.replace(old, new)
    kept = [b for b in baselines if '"Static"' in b or '"Dense"' in b]
    text = "[[baseline]]\n".join([head, *kept])
    text = text.replace("[0.0625, 0.125, 0.25, 0.5, 1]", "[0.0625, 0.1, 1]")
    (folder / PANEL).write_text(text.replace("[0.5, 1, 2]", "[0.05, 0.1, 1]"))
    return folder


def brief(folder, patch):
    """Work on ``folder``, with trainings of the MLP that take 70 steps; steps are not timed."""
    use(folder, patch)
    patch.setattr(compare, "paces", lambda runs, *_: dict.fromkeys(runs, StepTime(2.0, 1.9, 2.2)))
    known = workloads.workload("digits_mlp")
    made = dataclasses.replace(known, recipe=known.recipe.changed({"epochs": 5}))
    patch.setitem(workloads.WORKLOADS, "digits_mlp", made)


def checked_elsewhere(patch):
    """Let compare take the contract for kept, which takes seconds; returns the texts it set."""
    asked = []

    def check(reference, runs, *, texts, portable):
        asked.append(texts)
        return ["checked elsewhere"]

    patch.setattr(compare, "check_apart", check)
    return asked


def pages(folder, name):
    """What a report consists of, by the part after its name."""
    files = (folder / "reports/compare").glob(f"{name}[.-]*")
    return {
        p.name.removeprefix(name): p.read_text() for p in files if "=" not in p.name[len(name) :]
    }
