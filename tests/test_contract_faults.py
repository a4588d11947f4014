"""Every check of how a method behaves finds a method that breaks it, and says where."""

import pytest
import torch
from faults import Sound, fault, mine, require_found

from resparse.contract import CHECKS, check, conduct
from resparse.masks import top_k
from resparse.method import Method
from resparse.rules import random_update
from resparse.schedules import is_due

DECLARED = [
    fault(conduct.cites_a_source, "cites no source", __module__="nowhere"),
    fault(conduct.declares_what_it_does, "grads = 'some'; valid: never, update", grads="some"),
    fault(conduct.declares_what_it_does, "budget = 'all'; valid: layer, global", budget="all"),
    fault(conduct.declares_what_it_does, "observe is defined but never called", grads="update"),
    fault(
        conduct.declares_what_it_does,
        "update_masks is defined but never called; valid: an updates_at",
        updates_at=Method.updates_at,
    ),
    fault(
        conduct.declares_what_it_does,
        "prepare_scoring is defined but never called; valid: scores_at_init = True",
        prepare_scoring=lambda self, model: None,
    ),
]


def writing(what, part, write):
    """The question's answer, after a write into one tensor of conv2."""

    def answer(self, *question):
        tensor = getattr(question[-1]["conv2"], part)
        if tensor is not None:
            write(tensor)
        return getattr(Sound, what)(self, *question)

    return answer


def by_numpy(tensor):
    """Another value; torch does not notice."""
    flat = tensor.numpy().reshape(-1)  # no copy
    flat[0] = not flat[0] if tensor.dtype == torch.bool else 9.0


def by_torch(tensor):
    """The same value again."""
    tensor.copy_(tensor.clone())


SHOWN = {  # question: its first step, the parts it shows, the first step at which momentum is
    "init_masks": (-1, ("mask", "ever", "weight", "grad"), None),
    "observe": (0, ("mask", "ever", "weight", "grad"), 1),
    "update_masks": (3, ("mask", "ever", "weight", "grad"), 3),
}
WRITES = [
    fault(
        conduct.views_are_kept,
        f"{what} wrote into {part}; valid: leave what it is given as it is",
        step=later if part == "momentum" else step,
        layer="conv2",
        scores_at_init=True,
        **{what: writing(what, part, write)},
    )
    for what, (step, parts, later) in SHOWN.items()
    for part in (*parts, *(["momentum"] if later else []))
    for write in (by_numpy, by_torch)
]


def forgetful(self, step):
    """Due every four steps, but for one question on the way."""
    self.asked = getattr(self, "asked", 0) + 1
    return is_due(step, 4) and self.asked != 24


def unseeded(self, tensor):
    return torch.rand(tensor.shape, generator=torch.Generator().manual_seed(next(self.calls)))


def reseeded(self, tensor):
    return torch.rand(tensor.shape, generator=self.rng.manual_seed(0))


def counting(self, step, layers):
    self.state["updates"] = self.state.get("updates", torch.tensor(0)) + 1
    return Sound.update_masks(self, step, layers)


def drawn_anew(self, layers):
    counts = self.target_counts()
    return {n: top_k(unseeded(self, layer.mask), counts[n]) for n, layer in layers.items()}


def noticing(self, step, layers):
    self.seen = getattr(self, "seen", 0) + 1


def wider_later(self, step, layers):
    return random_update(self, layers, 0.4 if self.seen < 10 else 0.6)


def moving(self, step, layers):
    self.moved = True
    return Sound.update_masks(self, step, layers)


def named_in_turn(self, step, layers, asked=[]):  # noqa: B006
    """The same masks, but a layer is starved only every second time that is asked."""
    asked.append(step)
    changes = random_update(self, layers, 0.4)
    return changes | {"conv2": changes["conv2"]._replace(starved=len(asked) % 2 == 1)}


def announced_by_attribute(self, step):
    counts = self.target_counts()
    return counts if step < 3 or hasattr(self, "moved") else counts | {"fc1": 11}


ANSWERS = [
    fault(
        conduct.updates_by_the_step_alone,
        "updates_at(3) is once True and once False",
        step=3,
        updates_at=forgetful,
    ),
    fault(
        conduct.updates_by_the_step_alone,
        "updates_at is True at none of 20 steps with {'interval': 4}; valid: a schedule in shares",
        updates_at=lambda self, step: is_due(step, 100),
    ),
    fault(
        conduct.updates_by_the_step_alone,
        "every optimizer step is replaced by an update; valid: a longer interval",
        step=0,
        fields={"order": "replace", "interval": 1},
    ),
    fault(
        conduct.answers_twice_the_same,
        "update_masks answered otherwise when asked again under the same seed",
        step=3,
        layer="conv2",
        update_masks=named_in_turn,
    ),
    fault(
        conduct.answers_twice_the_same,
        "update_masks answered otherwise when asked again under the same seed",
        step=3,
        layer="fc1",
        update_masks=lambda self, step, layers: random_update(
            mine(uniform_like=unseeded)(**vars(self)), layers, 0.4
        ),
        early=True,  # it makes a generator
    ),
    fault(
        conduct.answers_twice_the_same,
        "update_masks changed state['updates']; valid: change state in observe",
        step=3,
        update_masks=counting,
    ),
    fault(
        conduct.answers_twice_the_same,
        "state['step'] is a int; valid: a tensor",
        step=3,
        observe=lambda self, step, layers: self.state.update(step=step),
    ),
    fault(
        conduct.same_seed_same_masks,
        "two runs of the same seed have different masks; valid: draws from self.rng alone",
        step=-1,
        layer="fc1",
        init_masks=drawn_anew,
        early=True,  # it makes a generator
    ),
    fault(
        conduct.other_seed_other_masks,
        "it draws from self.rng here, but seeds 0 and 1 give the same masks",
        step=-1,
        uniform_like=reseeded,
    ),
    fault(
        conduct.saved_state_continues,
        "a run that is resumed has another mask; valid: what lives between calls kept in",
        step=11,
        layer="fc1",
        observe=noticing,
        update_masks=wider_later,
    ),
    fault(
        conduct.saved_state_continues,
        "nnz_at announces {'fc1': 10, 'conv2': 15, 'fc3': 15}, after a resume {'fc1': 11",
        step=4,
        update_masks=moving,
        nnz_at=announced_by_attribute,
    ),
    *(
        fault(
            conduct.saved_state_continues,
            f"state['old'] is the memory of {words} layer conv2, which changes with it; valid: a",
            step=step,
            observe=lambda self, step, layers, part=part: self.state.update(
                {} if layers["conv2"].momentum is None else {"old": getattr(layers["conv2"], part)}
            ),
        )
        for part, words, step in (
            ("weight", "the weights of", 1),
            ("mask", "the mask of", 1),
            ("ever", "the ever-active weights of", 1),
            ("momentum", "the momentum of", 1),
            ("grad", "the gradient of", 1),
        )
    ),
]


def costing(**parts):
    return lambda self, dense, sparse: Method.train_flops(self, dense, sparse) | parts


RANDOM = {"grads": "never", "observe": Method.observe}


def sparsely(most):
    """3 f_S a step, of at most so many steps."""

    def train_flops(self, dense, sparse):
        steps = min(self.total_steps, most or self.total_steps)
        train = 3 * self.mean_forward(sparse) * steps
        return {"init": 0.0, "train": train, "parent": 0.0}

    return train_flops


def undercounted(self, dense, sparse):
    """The cost of the masks after each step, in place of those that it trains."""
    train = 3 * sum(min(sparse(step), sparse(step - 1)) for step in range(self.total_steps))
    return {"init": 0.0, "train": train, "parent": 0.0}


NAN, WITHIN = float("nan"), conduct.flops_are_within_bounds
COSTS = [
    fault(WITHIN, "train_flops gave 7.0; valid: a dict of", train_flops=lambda self, d, s: 7.0),
    fault(WITHIN, "valid: a dict of init, train, parent", train_flops=costing(eval=0.0)),
    fault(WITHIN, "train_flops gives train = nan, not within", train_flops=costing(train=NAN)),
    fault(WITHIN, "gives init = inf, not within", train_flops=costing(init=float("inf"))),
    fault(WITHIN, "gives init = -1.0, not within 0.0", train_flops=costing(init=-1.0)),
    fault(WITHIN, "train_flops gives train = 6001.0, not", train_flops=costing(train=6001.0)),
    fault(WITHIN, "valid: 3 sparse(s - 1) to 3 dense for", train_flops=undercounted, **RANDOM),
    fault(WITHIN, "valid: 2 sparse(s - 1) + dense to 3 dense", train_flops=sparsely(None)),
    fault(
        WITHIN,
        "for each step s, and dense for sparse once at each update",
        train_flops=sparsely(None),
        **RANDOM | {"grads": "update"},
    ),
    fault(WITHIN, "and 31200.0; valid: 3 sparse(s - 1)", train_flops=sparsely(20), **RANDOM),
    fault(WITHIN, "gives init = 0.0, not within 300.0", scores_at_init=True),
    fault(
        WITHIN,
        "gives parent = 0.0, not within 7.0",
        needs_parent=True,
        train_flops=costing(parent=0.0),
    ),
    fault(WITHIN, "gives parent = 7.0, not within 0.0", train_flops=costing(parent=7.0)),
    fault(
        WITHIN,
        "train_flops raised ValueError: sparse(20): the steps are -1 to 19",
        train_flops=lambda self, dense, sparse: {"train": sparse(20)},
    ),
]


@pytest.mark.parametrize(
    ("cls", "fields", "holds", "step", "layer", "says", "early"),
    [*DECLARED, *WRITES, *ANSWERS, *COSTS],
)
def test_a_method_that_misbehaves_is_found(cls, fields, holds, step, layer, says, early):
    require_found(cls, fields, holds, step, layer, says, early)


def test_the_sound_method_passes_every_check():
    assert check(Sound, {}, name="sound") == [each.name for each in CHECKS]
    assert len(CHECKS) == 22
