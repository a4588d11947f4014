"""Update steps, drop fractions, training FLOPs and refused fields, by hand numbers."""

from itertools import pairwise

import pytest
import torch

from resparse import registry
from resparse.masks import Layer
from resparse.method import Parent


def build(name, total=100, size=1000, density=0.1, **fields):
    return registry.load(name)(
        densities={"fc": density},
        sizes={"fc": size},
        total_steps=total,
        rng=torch.Generator(),
        **fields,
    )


def update_steps(method):
    return [step for step in range(method.total_steps + 20) if method.updates_at(step)]


@pytest.mark.parametrize(
    ("name", "fields", "t_last"),
    [
        ("set", {"t_end": 1.0}, 100),  # T_end included, at the end of training too
        ("set", {"t_end": 0.8}, 80),
        ("snfs", {"t_end": 0.8}, 80),
        ("snfs", {"t_end": 1.0}, 100),
        ("rigl", {"t_end": 0.8}, 70),  # algorithm 1: t < T_end
        ("rigl", {"t_end": 0.81}, 80),
        ("rigl", {"t_end": 1.0}, 90),
        ("set", {"t_end": 0.79}, 70),
        ("snfs", {"t_end": 0.79}, 70),
    ],
)
def test_the_last_update_is_at_or_before_t_end(name, fields, t_last):
    method = build(name, interval=10, **fields)
    assert update_steps(method) == list(range(9, t_last, 10))


@pytest.mark.parametrize("name", ["rigl_itop", "set_itop", "set_plus", "snip_set_itop"])
def test_itops_methods_explore_to_the_last_step(name):
    method = build(name, interval=10)
    assert [step for step in range(100) if method.updates_at(step)] == list(range(9, 100, 10))
    late = build(name, total=95, interval=10)
    assert [step for step in range(95) if late.updates_at(step)] == list(range(9, 90, 10))


def test_gmp_prunes_after_begin_every_interval_and_at_the_end_itself():
    # begin 30, end 78: 40, 50, 60, 70, and 78, which is no multiple of 10
    method = build("gmp", interval=10, begin=0.3, end=0.78)
    assert update_steps(method) == [39, 49, 59, 69, 77]
    # after t = 54 still what was left at t = 50, 20 of the 48 steps on: .1 + .9 (28/48)^3
    expected = round(1000 * (0.1 + 0.9 * (28 / 48) ** 3))
    assert method.nnz_at(53) == method.nnz_at(49) == {"fc": expected}
    assert method.nnz_at(38) == {"fc": 1000}
    assert method.nnz_at(76)["fc"] > 100
    assert method.nnz_at(77) == method.nnz_at(99) == {"fc": 100}


@pytest.mark.parametrize("total", [7, 50, 97])
@pytest.mark.parametrize("interval", [1, 3, 10, 1000])
@pytest.mark.parametrize(("begin", "end"), [(0.0, 1.0), (0.3125, 0.78125), (0.5, 1.0)])
def test_gmp_only_shrinks_at_its_updates_and_ends_on_its_target(total, interval, begin, end):
    method = build("gmp", total=total, interval=interval, begin=begin, end=end, density=0.07)
    counts = [method.nnz_at(step)["fc"] for step in range(-1, total)]
    assert counts[0] == 1000
    assert counts[-1] == 70
    for step, (before, after) in enumerate(pairwise(counts)):
        assert after <= before
        assert after == before or method.updates_at(step)


def weights_moved(method, step):
    """Of 1,000 active weights in 3,000 with all gradients outside: how many an update replaces."""
    mask = torch.arange(3000) < 1000
    weight = mask * (1 + torch.arange(3000.0))
    grad = (~mask) * (1 + torch.arange(3000.0))
    layers = {"fc": Layer(mask=mask, ever=mask, weight=weight, grad=grad)}
    if method.grads == "always":
        method.observe(step, layers)
    change = method.update_masks(step, layers)["fc"]
    assert int(change.mask.sum()) == 1000
    return int((mask & ~change.mask).sum())


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("set", {"t_end": 0.8, "regrow_dropped": False}),
        ("rigl", {"t_end": 0.8}),
        ("snfs", {"t_end": 0.8}),
        ("rigl_itop", {}),
        ("set_plus", {}),
    ],
)
def test_the_drop_fraction_is_a_cosine_of_finished_steps(name, fields):
    # alpha 0.3, T_end 80 (RigL-ITOP: 80 steps in all). t = 20: 0.15 (1 + cos 45) = .25607;
    # t = 40: .15; t = 60: .15 (1 - cos 45) = .04393; t = 80: 0. Of 1,000 weights, rounded up.
    total = 80 if name in ("rigl_itop", "set_plus") else 100
    method = build(name, total=total, size=3000, density=1 / 3, interval=20, alpha=0.3, **fields)
    assert [weights_moved(method, step) for step in (19, 39, 59)] == [257, 150, 44]
    if name != "rigl":  # which excludes T_end
        assert method.updates_at(79)
        assert weights_moved(method, 79) == 0


@pytest.mark.parametrize("name", ["set", "rigl_itop"])
def test_the_floor_of_the_released_code_moves_weights_to_the_last_step(name):
    # eta_min 0.005: at the end 0.005 x 1,000 = 5 weights; half way (0.3 + 0.005)/2 = .1525: 153
    fields = {"regrow_dropped": False, "t_end": 1.0} if name == "set" else {}
    method = build(name, size=3000, density=1 / 3, interval=10, alpha=0.3, floor=0.005, **fields)
    assert method.updates_at(99)
    assert weights_moved(method, 99) == 5
    assert weights_moved(method, 49) == 153


def test_set_tells_its_drop_fraction():
    method = build("set", interval=10, alpha=0.5, floor=0.005, t_end=0.5)
    fractions = [method.drop_fraction(step) for step in (-1, 24, 49, 99)]
    assert fractions == pytest.approx([0.5, 0.2525, 0.005, 0.005])


# training FLOPs; a forward pass costs 10 with masks and 100 without


def flops(method, sparse=lambda _: 10.0):
    cost = method.train_flops(100.0, sparse)
    assert set(cost) == {"init", "train", "parent"}
    assert cost["init"] == 0
    return cost


@pytest.mark.parametrize(
    ("name", "fields", "per_step"),
    [
        ("static", {}, 30),
        ("set", {"interval": 4}, 30),
        ("rigl", {"interval": 4}, 48),  # (3 10 4 + 2 10 + 100)/5
        ("rigl", {"interval": 100}, 3120 / 101),
        ("rigl_itop", {"interval": 9}, 39),  # (3 10 9 + 2 10 + 100)/10
        ("snfs", {"interval": 4}, 120),  # 2 10 + 100
    ],
)
def test_training_flops(name, fields, per_step):
    cost = flops(build(name, **fields))
    assert cost["train"] == pytest.approx(100 * per_step)
    assert cost["parent"] == 0


def test_training_flops_of_dense():
    assert flops(build("dense", density=1.0), lambda _: 100.0)["train"] == 30_000


def test_training_flops_follow_the_masks_really_installed():
    # updates after steps 3 and 7 of 10: four steps cost 1, four cost 2, two cost 4: 2 on average
    method = build("set", total=10, interval=4, t_end=1.0)
    forward = {-1: 1.0, 3: 2.0, 7: 4.0}
    assert method.mean_forward(forward.__getitem__) == pytest.approx(2.0)
    assert flops(method, forward.__getitem__)["train"] == pytest.approx(60)
    rigl = build("rigl", total=10, interval=4, t_end=1.0)
    assert flops(rigl, forward.__getitem__)["train"] == pytest.approx(
        (3 * 2 * 4 + 4 + 100) / 5 * 10
    )
    snfs = build("snfs", total=10, interval=4, t_end=1.0)
    assert flops(snfs, forward.__getitem__)["train"] == pytest.approx((4 + 100) * 10)


def test_training_flops_of_gmp_are_three_times_the_mean():
    # the eight steps of test_gmp_keeps_the_largest: 8 8 5 5 3 3 2 2 weights: 4.5 on average
    method = build("gmp", total=8, size=8, density=0.25, begin=0.0, end=1.0, interval=2)
    cost = flops(method, lambda step: float(method.nnz_at(step)["fc"]))
    assert cost["train"] == pytest.approx(3 * 4.5 * 8)


def test_training_flops_of_ltr_start_at_the_rewind_step_and_name_the_parents():
    parent = Parent(masks={"fc": torch.ones(1000, dtype=torch.bool)}, train_flops=777.0, step=5)
    cost = flops(build("ltr", parent=parent))
    assert cost["train"] == pytest.approx(3 * 10 * 95)
    assert cost["parent"] == 777.0


# refused fields


@pytest.mark.parametrize("name", ["set", "rigl", "rigl_itop", "snfs"])
@pytest.mark.parametrize(
    ("field", "value"),
    [("interval", 0), ("interval", -5), ("alpha", -0.1), ("alpha", 0.0), ("alpha", 1.5)],
)
def test_a_bad_schedule_is_refused_by_name(name, field, value):
    with pytest.raises(ValueError, match=rf"^{field} = {value}; valid: "):
        build(name, **{field: value})


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("set", {"t_end": 0.0}, r"t_end = 0\.0; valid: above 0, at most 1"),
        ("rigl", {"t_end": 1.01}, r"t_end = 1\.01"),
        ("snfs", {"t_end": 0.0}, r"t_end = 0\.0"),
        ("set", {"alpha": 0.3, "floor": 0.31}, r"floor = 0\.31; valid: from 0 to alpha"),
        ("rigl_itop", {"floor": -0.1}, r"floor = -0\.1"),
        ("snfs", {"beta": 1.0}, r"beta = 1\.0; valid: from 0, below 1"),
        ("snfs", {"beta": -0.1}, r"beta = -0\.1"),
        ("gmp", {"begin": 0.8, "end": 0.8}, r"end = 0\.8; valid: above begin"),
        ("gmp", {"begin": 0.9, "end": 0.8}, r"end = 0\.8"),
        ("gmp", {"begin": -0.1}, r"begin = -0\.1"),
        ("gmp", {"begin": 1.0}, r"begin = 1\.0"),
        ("gmp", {"end": 1.1}, r"end = 1\.1"),
        ("gmp", {"interval": 0}, r"interval = 0"),
        ("static", {"order": "sideways"}, r"order = 'sideways'; valid: replace, after"),
        ("rigl", {"order": "sideways"}, r"order = 'sideways'"),
        ("static", {"total": 0}, r"total_steps = 0; valid: at least 1"),
        ("ltr", {}, r"parent = None; valid: a parent run"),
        ("dense", {"density": 0.5}, r"density of layer fc = 0\.5; valid: 1 for method dense"),
    ],
)
def test_a_bad_value_is_refused_by_name(name, fields, message):
    with pytest.raises(ValueError, match=message):
        build(name, **fields)


@pytest.mark.parametrize("name", ["dense", "static", "set", "rigl", "rigl_itop", "snfs", "gmp"])
def test_a_parent_is_refused_where_none_is_needed(name):
    parent = Parent(masks={}, train_flops=0.0, step=0)
    with pytest.raises(ValueError, match=r"parent = 'given'; valid: none"):
        build(name, density=1.0, parent=parent)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("set", {"alpha": 1.0, "t_end": 1.0, "floor": 1.0, "interval": 1}),
        ("rigl", {"alpha": 1.0, "t_end": 1.0, "interval": 1, "order": "after"}),
        ("snfs", {"beta": 0.0, "order": "replace"}),
        ("gmp", {"begin": 0.0, "end": 1.0, "interval": 1}),
    ],
)
def test_the_limits_themselves_are_valid(name, fields):
    method = build(name, **fields)
    assert all(getattr(method, field) == value for field, value in fields.items())


def test_defaults_are_the_cited_papers():
    defaults = {name: registry.own_fields(registry.load(name)) for name in registry.names()}
    evci = {"interval": 100, "alpha": 0.3, "t_end": 25_000 / 32_000}
    rigl = {"order": "replace", "redistribution": "none"}
    assert defaults["rigl"] == evci | rigl | {"reset_regrown": False}
    kept = {"order": "after", "floor": 0.0, "regrow_dropped": True, "reset_regrown": False}
    assert defaults["set"].items() >= (evci | kept).items()
    snfs = {"order": "after", "redistribution": "none"}
    assert defaults["snfs"].items() >= (evci | snfs).items()
    itop = {"order": "after", "interval": 4000, "alpha": 0.5, "floor": 0.0}
    assert defaults["rigl_itop"] == itop
    itop["interval"] = 1500
    assert defaults["set_itop"] == defaults["set_plus"] == itop
    kept = {"at_least": 1, "interval": 1500, "alpha": 0.5, "floor": 0.0}
    assert defaults["lth_set_itop"].items() >= kept.items()
    assert (
        defaults["snip_set_itop"].items() >= (kept | {"reinit": "none", "scope": "global"}).items()
    )
    assert defaults["snip"].items() >= {"at_least": 1, "reinit": "none", "scope": "global"}.items()
    assert defaults["lth"].items() >= {"at_least": 1, "scope": "all"}.items()
    gmp = {"order": "after", "begin": 10_000 / 32_000, "end": 25_000 / 32_000, "interval": 500}
    assert defaults["gmp"] == gmp | {"scope": "layer"}
