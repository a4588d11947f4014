"""Every file in methods/ on the toy network of the contract, and variants of some by name."""

import functools

from resparse import registry
from resparse.contract.run import Run
from resparse.contract.toy import COUNTS, SIZES, TOTAL, Toy

DENSITIES = {name: COUNTS[name] / SIZES[name] for name in SIZES}

SET = {"interval": 3, "alpha": 0.5, "t_end": 1.0}
RIGL = {"interval": 4, "alpha": 0.4, "t_end": 0.75}
SNFS = {"interval": 4, "alpha": 0.4, "t_end": 0.8, "beta": 0.7}
GMP = {"interval": 4, "begin": 0.1, "end": 0.9}

# fields under which masks move at least three times in 20 steps, and variants of methods
NAMED = {
    "set": SET | {"t_end": 0.8},
    "set-floor": SET | {"floor": 0.005},
    "set-exclude": SET | {"regrow_dropped": False},
    "set_plus": {"interval": 3, "alpha": 0.5},
    "set_plus-floor": {"interval": 2, "alpha": 0.9, "floor": 0.005},
    "set_itop": {"interval": 3, "alpha": 0.5, "floor": 0.005},
    "set-reset": SET | {"reset_regrown": True},
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


def name_of(case):
    """The file in methods/ that a case is of."""
    return case.split("-")[0]


def toy(case, **fields):
    """The trial of a case: exactly its fields; ltr's parent is rewound to step 5."""
    cls = registry.load(name_of(case))
    return Toy(cls, CASES[case] | fields, start=STARTS_AT if case == "ltr" else 0)


def build(case, **fields):
    """The method of a case; one that needs a parent gets one."""
    return toy(case, **fields).method()


def run(case, data=None, fields=None, **how):
    """A watched training of a case, by default on the data that every method gets."""
    return Run(toy(case, **fields or {}), data, **how)


@functools.cache
def usual(case, seed=0):
    """The training of a case on the usual data, to be looked at only."""
    return run(case, seed=seed)


def arrays(tensors):
    """Masks, or pairs of weight and gradient, by layer, as NumPy arrays."""
    return {
        name: tuple(t.numpy() for t in value) if isinstance(value, tuple) else value.numpy()
        for name, value in tensors.items()
    }


FIRST = arrays(toy("snip").first())  # what a method that scores at the start sees


def update_steps(method):
    return [step for step in range(TOTAL) if method.updates_at(step)]
