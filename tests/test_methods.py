"""Every rule against the NumPy reference, and what every method promises the trainer."""

from itertools import pairwise

import numpy as np
import pytest
import reference
import torch
from torch import nn

from resparse import registry
from resparse.masks import Masks
from resparse.method import Parent

SHAPES = {"fc1": (8, 6), "fc2": (5, 8), "fc3": (3, 5)}
SIZES = {name: shape[0] * shape[1] for name, shape in SHAPES.items()}
COUNTS = {"fc1": 10, "fc2": 15, "fc3": 15}  # fc3 is dense, as small layers are under ERK
DENSITIES = {name: COUNTS[name] / SIZES[name] for name in SHAPES}
TOTAL = 20

# every method with fields under which it moves masks at least three times in 20 steps
CASES = {
    "dense": {},
    "static": {},
    "ltr": {},
    "set": {"interval": 3, "alpha": 0.5, "t_end": 0.8},
    "set-floor": {"interval": 3, "alpha": 0.5, "floor": 0.005},
    "set-exclude": {"interval": 3, "alpha": 0.5, "regrow_dropped": False},
    "rigl": {"interval": 4, "alpha": 0.4, "t_end": 0.75},
    "rigl_itop": {"interval": 4, "alpha": 0.5, "floor": 0.005},
    "snfs": {"interval": 4, "alpha": 0.4, "t_end": 0.8, "beta": 0.7},
    "gmp": {"interval": 4, "begin": 0.1, "end": 0.9},
}
MOVING = ["set", "set-floor", "set-exclude", "rigl", "rigl_itop", "snfs", "gmp"]


def parent_masks():
    rng = np.random.default_rng(5)
    return {
        name: torch.from_numpy(reference.random_mask(rng.random(shape), COUNTS[name]))
        for name, shape in SHAPES.items()
    }


def build(case, **fields):
    name = case.split("-")[0]
    densities = dict.fromkeys(SHAPES, 1.0) if name == "dense" else DENSITIES
    parent = Parent(masks=parent_masks(), train_flops=7.0, step=5) if name == "ltr" else None
    return registry.load(name)(
        densities=densities, sizes=SIZES, total_steps=TOTAL, rng=torch.Generator(),
        parent=parent, **(CASES[case] | fields),
    )  # fmt: skip


def draws(seed=3):
    """Random weights and dense gradients for every step and layer."""
    rng = np.random.default_rng(seed)
    return [
        {
            name: tuple(rng.standard_normal((2, *shape)).astype(np.float32))
            for name, shape in SHAPES.items()
        }
        for _ in range(TOTAL)
    ]


class Run:
    """The trainer in small: new weights inside the masks each step, updates where they are due."""

    def __init__(self, method, data, seed=0):
        self.method, self.seed = method, seed
        self.weights = {name: nn.Parameter(torch.zeros(shape)) for name, shape in SHAPES.items()}
        self.optimizer = torch.optim.SGD(self.weights.values(), lr=0.1, momentum=0.9)
        full = {name: torch.ones(shape, dtype=torch.bool) for name, shape in SHAPES.items()}
        blank = Masks(self.weights, full).layers(None, self.optimizer)
        method.rng.manual_seed(self.seed_at(-1))
        self.masks = Masks(self.weights, method.init_masks(blank))
        self.history = [self.snapshot()]  # the initial masks, then those after every update
        self.counts = [self.masks.nnz()]  # before training, then after every step
        for step, layers in enumerate(data):
            self.step(step, layers)

    def seed_at(self, step):
        return 1000 * self.seed + step + 1

    def snapshot(self):
        return {name: mask.numpy().copy() for name, mask in self.masks.mask.items()}

    def step(self, step, data):
        with torch.no_grad():
            for name, (weight, _) in data.items():
                self.weights[name].copy_(torch.from_numpy(weight) * self.masks.mask[name])
        grads = {name: torch.from_numpy(grad) for name, (_, grad) in data.items()}
        layers = self.masks.layers(None if self.method.grads == "never" else grads, self.optimizer)
        if self.method.grads == "always":
            self.method.observe(step, layers)
        if self.method.updates_at(step):
            self.method.rng.manual_seed(self.seed_at(step))
            self.masks.install(self.method.update_masks(step, layers), self.optimizer)
            self.history.append(self.snapshot())
        self.counts.append(self.masks.nnz())


def uniform_scores(seed):
    """What the method draws for SET: U[0, 1) per layer, in layer order, from the same seed."""
    rng = torch.Generator().manual_seed(seed)
    return {name: torch.rand(shape, generator=rng).numpy() for name, shape in SHAPES.items()}


def expected_mask(case, name, mask, step, data):
    """The reference's next mask of one layer."""
    fields, t = CASES[case], step + 1
    weight, grad = data[step][name][0] * mask, data[step][name][1]
    if case.startswith("set"):
        return reference.set_update(
            mask,
            weight,
            uniform_scores(t)[name],
            t,
            t_end=fields.get("t_end", 1.0) * TOTAL,
            alpha=0.5,
            floor=fields.get("floor", 0.0),
            regrow_dropped=fields.get("regrow_dropped", True),
        )
    if case == "rigl":
        return reference.rigl_update(mask, weight, grad, t, t_end=15, alpha=0.4)
    if case == "rigl_itop":
        return reference.rigl_itop_update(
            mask, weight, grad, t, total=TOTAL, alpha=0.5, floor=0.005
        )
    if case == "snfs":
        past = [data[s][name][1] for s in range(step + 1)]
        return reference.snfs_update(mask, weight, past, t, t_end=16, alpha=0.4, beta=0.7)
    return reference.gmp_update(mask, weight, t, begin=2, end=18, density=DENSITIES[name])


@pytest.mark.parametrize("case", MOVING)
def test_all_masks_and_the_explored_share_equal_the_reference(case):
    data = draws()
    run = Run(build(case), data)
    steps = [step for step in range(TOTAL) if run.method.updates_at(step)]
    assert len(steps) >= 3
    if case == "gmp":
        masks = {name: np.ones(shape, dtype=bool) for name, shape in SHAPES.items()}
    else:
        scores = uniform_scores(0)
        masks = {name: reference.random_mask(scores[name], COUNTS[name]) for name in SHAPES}
    history = [masks]
    for step in steps:
        masks = {name: expected_mask(case, name, masks[name], step, data) for name in SHAPES}
        history.append(masks)
    for actual, expected in zip(run.history, history, strict=True):
        for name in SHAPES:
            np.testing.assert_array_equal(actual[name], expected[name])
    moved = sum(int((a["fc1"] != b["fc1"]).sum()) for a, b in pairwise(history[:4]))
    assert moved >= 6  # the comparison is not of masks that stand still
    assert run.masks.explored() == reference.explored(history)


@pytest.mark.parametrize("case", CASES)
def test_counts_are_announced_exactly_at_every_step(case):
    run = Run(build(case), draws())
    assert run.counts == [run.method.nnz_at(step) for step in range(-1, TOTAL)]
    if case == "dense":
        assert run.counts[-1] == SIZES
    else:
        assert run.counts[-1] == COUNTS
    if case != "gmp":
        assert all(counts == run.counts[0] for counts in run.counts)


@pytest.mark.parametrize("case", CASES)
def test_the_same_seed_gives_the_same_masks_and_another_seed_others(case):
    data = draws()
    first, second = Run(build(case), data), Run(build(case), data)
    digests = [run.masks.digest() for run in (first, second, Run(build(case), data, seed=1))]
    assert digests[0] == digests[1]
    if case in ("dense", "ltr", "gmp"):  # nothing random in them
        assert digests[2] == digests[0]
    else:
        assert digests[2] != digests[0]


@pytest.mark.parametrize("case", MOVING)
def test_an_update_asked_twice_answers_twice_the_same_and_writes_nothing(case):
    data = draws()
    run, method = Run(build(case), []), build(case)
    step = next(s for s in range(3, TOTAL) if method.updates_at(s))
    for name, weight in run.weights.items():
        buffer = torch.from_numpy(data[0][name][0]) * run.masks.mask[name]
        run.optimizer.state[weight]["momentum_buffer"] = buffer
        weight.data = buffer.clone()
    grads = {name: torch.from_numpy(data[step][name][1]).clone() for name in SHAPES}
    layers = run.masks.layers(grads, run.optimizer)
    before = {name: [tensor.clone() for tensor in layer] for name, layer in layers.items()}
    if method.grads == "always":
        method.observe(0, layers)
    state = {name: tensor.clone() for name, tensor in method.state.items()}
    answers = []
    for _ in range(2):
        method.rng.manual_seed(4)
        answers.append(method.update_masks(step, layers))
    for name, layer in layers.items():
        assert torch.equal(answers[0][name].mask, answers[1][name].mask)
        for tensor, clone in zip(layer, before[name], strict=True):
            assert torch.equal(tensor, clone)
    assert method.state.keys() == state.keys()
    assert all(torch.equal(method.state[name], state[name]) for name in state)


def test_random_first_masks_are_spread_evenly_over_a_layer():
    method = build("static")
    layers = Run(method, []).masks.layers(None, torch.optim.SGD([nn.Parameter(torch.ones(1))]))
    hits = torch.zeros(SHAPES["fc1"])
    for seed in range(400):
        method.rng.manual_seed(seed)
        hits += method.init_masks(layers)["fc1"]
    # 400 draws of 10 in 48: 83.3 on average, std sqrt(400 x .208 x .792) = 8.1
    assert abs(hits - 400 * 10 / 48).max() < 4.5 * 8.1
    assert hits.sum() == 4000


def test_ltr_takes_its_parents_masks_and_never_moves_them():
    run = Run(build("ltr"), draws())
    for name, mask in parent_masks().items():
        assert torch.equal(run.masks.mask[name], mask)
    assert len(run.history) == 1


@pytest.mark.parametrize("case", ["dense", "static", "ltr"])
def test_static_methods_have_no_updates(case):
    method = build(case)
    assert not any(method.updates_at(step) for step in range(TOTAL))
    assert method.update_masks(3, {}) == {}
    assert method.grads == "never"


def test_growth_is_announced_as_random_only_where_it_is():
    for case in CASES:
        growth = build(case).random_growth_at(2)
        assert (growth is not None) == case.startswith("set"), case
    # t = 3 of 16: alpha (1 + cos(3 pi/16))/2 = 0.4579: ceil(4.58) = 5 of fc1's 10, 7 of 15, 7 of 15
    assert build("set").random_growth_at(2) == {"fc1": (5, 43), "fc2": (7, 32), "fc3": (7, 7)}
    # t = 3 of 20: 0.4728: 5, 8, 8; without the dropped, only the inactive are candidates
    assert build("set-exclude").random_growth_at(2) == {
        "fc1": (5, 38),
        "fc2": (8, 25),
        "fc3": (0, 0),
    }


def test_a_generator_is_all_that_random_growth_reads():
    # the same seed on different weights: the drops differ, the grown of full candidates do not
    data, other = draws(), draws(seed=8)
    runs = [Run(build("set", alpha=1.0, t_end=1.0), d) for d in (data, other)]
    # alpha 1 at t = 3 of 20 drops 95 %: ceil(9.46) = 10 of 10 in fc1: all 48 are candidates
    np.testing.assert_array_equal(runs[0].history[1]["fc1"], runs[1].history[1]["fc1"])
