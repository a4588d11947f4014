"""A toy network of three layers and a trainer in small that holds a method to its contract.

Every file in methods/ is a case, whether or not it is named here.
"""

import numpy as np
import reference
import torch
from torch import nn

from resparse import registry
from resparse.masks import Layer, Masks
from resparse.method import Parent

SHAPES = {"fc1": (8, 6), "fc2": (5, 8), "fc3": (3, 5)}
SIZES = {name: shape[0] * shape[1] for name, shape in SHAPES.items()}
COUNTS = {"fc1": 10, "fc2": 15, "fc3": 15}  # fc3 is dense, as small layers are under ERK
DENSITIES = {name: COUNTS[name] / SIZES[name] for name in SHAPES}
TOTAL = 20
PARENT_FLOPS = 7.0

RIGL = {"interval": 4, "alpha": 0.4, "t_end": 0.75}
SNFS = {"interval": 4, "alpha": 0.4, "t_end": 0.8, "beta": 0.7}
GMP = {"interval": 4, "begin": 0.1, "end": 0.9}

# fields under which masks move at least three times in 20 steps, and variants of methods
NAMED = {
    "set": {"interval": 3, "alpha": 0.5, "t_end": 0.8},
    "set-floor": {"interval": 3, "alpha": 0.5, "floor": 0.005},
    "set-exclude": {"interval": 3, "alpha": 0.5, "regrow_dropped": False},
    "set_plus": {"interval": 3, "alpha": 0.5},
    "set_plus-floor": {"interval": 2, "alpha": 0.9, "floor": 0.005},
    "set_itop": {"interval": 3, "alpha": 0.5, "floor": 0.005},
    "set-reset": {"interval": 3, "alpha": 0.5, "reset_regrown": True},
    "rigl": RIGL,
    "rigl-reset": RIGL | {"reset_regrown": True},
    "rigl-gradient": RIGL | {"redistribution": "gradient"},
    "rigl-momentum": RIGL | {"redistribution": "momentum"},
    "rigl_itop": {"interval": 4, "alpha": 0.5, "floor": 0.005},
    "snfs": SNFS,
    "snfs-momentum": SNFS | {"redistribution": "momentum"},
    "gmp": GMP,
    "gmp-global": GMP | {"scope": "global"},
    "snip-starved": {"at_least": 12},  # fc3 would keep about 6 of its 15
    "lth-starved": {"at_least": 12},
}
CASES = {
    name: {"interval": 4} if "interval" in registry.own_fields(registry.load(name)) else {}
    for name in registry.names()
} | NAMED
STARTS_AT = 5  # ltr's rewind step


def parent_masks():
    rng = np.random.default_rng(5)
    return {
        name: torch.from_numpy(reference.random_mask(rng.random(shape), COUNTS[name]))
        for name, shape in SHAPES.items()
    }


def parent_weights():
    rng = np.random.default_rng(6)
    return {n: rng.standard_normal(shape).astype(np.float32) for n, shape in SHAPES.items()}


def build(case, **fields):
    """The method of a case for the toy network; one that needs a parent gets one."""
    name = case.split("-")[0]
    cls = registry.load(name)
    parent = Parent(
        masks=parent_masks(),
        train_flops=PARENT_FLOPS,
        step=STARTS_AT if name == "ltr" else 0,
        weights={n: torch.from_numpy(w) for n, w in parent_weights().items()},
    )
    return cls(
        densities=dict.fromkeys(SHAPES, 1.0) if name == "dense" else DENSITIES,
        sizes=SIZES,
        total_steps=TOTAL,
        rng=torch.Generator(),
        parent=parent if cls.needs_parent else None,
        **(CASES[case] | fields),
    )


def draws(seed=3, total=TOTAL):
    """Random weights and dense gradients for every step and layer."""
    rng = np.random.default_rng(seed)
    return [
        {
            name: tuple(rng.standard_normal((2, *shape)).astype(np.float32))
            for name, shape in SHAPES.items()
        }
        for _ in range(total)
    ]


FIRST = draws(seed=9, total=1)[0]  # what a method that scores at the start sees

MOMENTUM = 0.9
OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=MOMENTUM, weight_decay=0.05),
    "SGD with Nesterov": lambda p: torch.optim.SGD(
        p, lr=0.1, momentum=MOMENTUM, weight_decay=0.05, nesterov=True
    ),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.5),
}


class Run:
    """The trainer in small: updates where they are due, each call of the method watched.

    Without an ``optimizer`` the weights of each step are the data's own, and the momentum inside
    the masks sums all gradients so far, each MOMENTUM times the next; with one it steps along the
    data's gradients, as the method's order says.
    """

    def __init__(self, method, data, seed=0, optimizer=None):
        self.method, self.seed, self.stepping = method, seed, optimizer is not None
        self.weights = {n: nn.Parameter(torch.from_numpy(w.copy())) for n, (w, _) in FIRST.items()}
        self.optimizer = OPTIMIZERS[optimizer or "SGD"](list(self.weights.values()))
        self.past = {name: torch.zeros(shape) for name, shape in SHAPES.items()}
        self.drew = False  # whether the method took anything from its generator
        full = {name: torch.ones(shape, dtype=torch.bool) for name, shape in SHAPES.items()}
        scores = {n: torch.from_numpy(g.copy()) for n, (_, g) in FIRST.items()}
        blank = Masks(self.weights, full).layers(
            scores if method.scores_at_init else None, self.optimizer
        )
        masks = self.ask(-1, blank, lambda: method.init_masks(blank))
        assert {name: mask.dtype for name, mask in masks.items()} == dict.fromkeys(
            SHAPES, torch.bool
        )
        self.masks = Masks(self.weights, masks)
        self.history = [self.snapshot()]  # the initial masks, then those after every update
        self.counts = [self.masks.nnz()]  # before training, then after every step
        for step, layers in enumerate(data):
            self.step(step, layers)

    def seed_at(self, step):
        return 1000 * self.seed + step + 1

    def snapshot(self):
        return {name: mask.numpy().copy() for name, mask in self.masks.mask.items()}

    def ask(self, step, layers, question):
        """The method's answer; neither what it sees nor torch's generator may have changed."""
        self.method.rng.manual_seed(self.seed_at(step))
        seen = {
            name: [None if tensor is None else tensor.clone() for tensor in layer]
            for name, layer in layers.items()
        }
        mine, everyones = self.method.rng.get_state(), torch.get_rng_state()
        answer = question()
        self.drew |= not torch.equal(self.method.rng.get_state(), mine)
        assert torch.equal(torch.get_rng_state(), everyones), "torch's generator was used"
        for name, layer in layers.items():
            for field, tensor, before in zip(Layer._fields, layer, seen[name], strict=True):
                assert tensor is None or torch.equal(tensor, before), (name, field, "written")
        return answer

    def ask_twice(self, step, layers):
        """The method's update, the same when asked again; its state does not change by asking."""
        state = {name: tensor.clone() for name, tensor in self.method.state.items()}
        first, second = (
            self.ask(step, layers, lambda: self.method.update_masks(step, layers)) for _ in range(2)
        )
        assert first.keys() == second.keys()
        for name, change in first.items():
            assert change.mask.dtype == torch.bool
            assert torch.equal(change.mask, second[name].mask), name
        assert self.method.state.keys() == state.keys()
        assert all(torch.equal(self.method.state[name], old) for name, old in state.items())
        return first

    def step(self, step, data):
        due = self.method.updates_at(step)
        grads = {name: torch.from_numpy(grad.copy()) for name, (_, grad) in data.items()}
        seen = None if self.method.grads == "never" else grads
        if self.method.grads == "always":
            layers = self.masks.layers(seen, self.optimizer)
            self.ask(step, layers, lambda: self.method.observe(step, layers))
        if not self.stepping:
            with torch.no_grad():
                for name, (weight, _) in data.items():
                    mask = self.masks.mask[name]
                    self.weights[name].copy_(torch.from_numpy(weight) * mask)
                    self.past[name].mul_(MOMENTUM).add_(grads[name])
                    state = self.optimizer.state[self.weights[name]]
                    state["momentum_buffer"] = self.past[name] * mask
        elif not (due and self.method.order == "replace"):
            for name, grad in grads.items():
                self.weights[name].grad = grad.clone()
            self.masks.mask_gradients()
            self.optimizer.step()
        if due:
            layers = self.masks.layers(seen, self.optimizer)
            self.masks.install(self.ask_twice(step, layers), self.optimizer)
            self.history.append(self.snapshot())
        self.counts.append(self.masks.nnz())


def update_steps(method):
    return [step for step in range(TOTAL) if method.updates_at(step)]
