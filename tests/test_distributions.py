"""Layer densities of the papers' networks: exact totals, dense layers, FLOP ratios."""

import math

import pytest
import reference

from resparse.distributions import layer_counts, round_to_total

RESNET8 = {
    "conv1": (4, 1, 3, 3),
    "layer1.0.conv1": (4, 4, 3, 3),
    "layer1.0.conv2": (4, 4, 3, 3),
    "layer2.0.conv1": (8, 4, 3, 3),
    "layer2.0.conv2": (8, 8, 3, 3),
    "layer2.0.shortcut": (8, 4, 1, 1),
    "layer3.0.conv1": (16, 8, 3, 3),
    "layer3.0.conv2": (16, 16, 3, 3),
    "layer3.0.shortcut": (16, 8, 1, 1),
    "fc": (10, 16),
}


def resnet50():
    """Shapes and output positions (height x width at 224) of torchvision's ResNet-50."""
    shapes, positions = {"conv1": (64, 3, 7, 7)}, {"conv1": 112**2}
    before, side = 64, 56
    for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), start=1):
        for block in range(blocks):
            after = side // 2 if stage > 1 and block == 0 else side  # the 3x3 has the stride
            rows = [
                ("conv1", (width, before, 1, 1), side),
                ("conv2", (width, width, 3, 3), after),
                ("conv3", (4 * width, width, 1, 1), after),
                ("downsample.0", (4 * width, before, 1, 1), after),
            ]
            for part, shape, size in rows if block == 0 else rows[:3]:
                shapes[f"layer{stage}.{block}.{part}"] = shape
                positions[f"layer{stage}.{block}.{part}"] = size**2
            before, side = 4 * width, after
    return shapes | {"fc": (1000, 2048)}, positions | {"fc": 1}


def wrn22_2():
    """Shapes and output positions at 32 of the RigL reproduction's WRN-22-2."""
    shapes, positions = {"conv1": (16, 3, 3, 3)}, {"conv1": 32**2}
    before = 16
    for stage, (width, side) in enumerate(((32, 32), (64, 16), (128, 8)), start=1):
        for block in range(3):
            name = f"b{stage}.{block}"
            parts = {f"{name}.conv1": (width, before, 3, 3), f"{name}.conv2": (width, width, 3, 3)}
            if block == 0:
                parts[f"b{stage}.shortcut"] = (width, before, 1, 1)
            shapes |= parts
            positions |= dict.fromkeys(parts, side**2)
            before = width
    return shapes | {"fc": (10, 128)}, positions | {"fc": 1}


def size(shapes):
    return sum(math.prod(shape) for shape in shapes.values())


def flops_ratio(kind, network, density):
    """Sparse over dense MACs of one forward pass."""
    shapes, positions = network
    counts = layer_counts(kind, shapes, density)
    dense = sum(math.prod(shape) * positions[name] for name, shape in shapes.items())
    return sum(count * positions[name] for name, count in counts.items()) / dense


def dense_layers(counts, shapes):
    return {name for name, count in counts.items() if count == math.prod(shapes[name])}


NETWORKS = {"resnet8": RESNET8, "resnet50": resnet50()[0], "wrn22_2": wrn22_2()[0]}


def test_the_networks_are_the_papers():
    shapes, positions = resnet50()
    macs = sum(math.prod(shape) * positions[name] for name, shape in shapes.items())
    assert size(RESNET8) == 4964
    assert macs == 4_089_184_256  # design.md; fvcore's convolutions and linear layers
    assert size(NETWORKS["wrn22_2"]) == 1_076_912


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("density", [0.05, 0.1, 0.2, 0.5])
@pytest.mark.parametrize("kind", ["erk", "er", "uniform"])
def test_totals_are_exact_and_layers_are_within_one_weight(network, density, kind):
    shapes = NETWORKS[network]
    counts = layer_counts(kind, shapes, density)
    total = size(shapes)
    if kind == "uniform":  # the first layer is dense and not part of the budget
        first = math.prod(next(iter(shapes.values())))
        assert sum(counts.values()) == round(first + density * (total - first))
        assert dense_layers(counts, shapes) == {next(iter(shapes))}
    else:
        assert sum(counts.values()) == round(density * total)
    for name, expected in reference.layer_densities(kind, shapes, density).items():
        assert abs(counts[name] - expected * math.prod(shapes[name])) < 1, name


def test_resnet8_counts_by_hand():
    # d = 0.1: 496 weights. Summed dimensions (= size x score) 11, 14, 14, 18, 22, 14, 30, 38, 26,
    # 26: 213 in all, eps = 496.4/213 = 2.33. Above 1: conv1 2.33 x 11/36 = .71 no; shortcut2
    # 2.33 x 14/32 = 1.02 yes; no other (shortcut3 .47, fc .38, stage1 .23). Again without it:
    # eps = (496.4 - 32)/199 = 2.33367: 25.67 32.67 32.67 42.01 51.34 [32] 70.01 88.68 60.68 60.68
    # The floors make 492; the four missing go to the largest remainders: stage 3 (.68, .675, .675)
    # and of stage 1's equal .6714 the earlier layer; conv1's .6704 comes too late.
    counts = layer_counts("erk", RESNET8, 0.1)
    assert list(counts.values()) == [25, 33, 32, 42, 51, 32, 70, 89, 61, 61]


def test_resnet50_dense_layers():
    shapes = NETWORKS["resnet50"]
    assert dense_layers(layer_counts("erk", shapes, 0.1), shapes) == {"layer1.0.conv1"}
    parts = ["0.conv1", "0.conv3", "0.downsample.0", "1.conv1", "1.conv3", "2.conv1", "2.conv3"]
    assert dense_layers(layer_counts("erk", shapes, 0.2), shapes) == {
        *(f"layer1.{part}" for part in parts),
        "layer2.0.conv1",
    }


def test_wrn22_2_dense_layers():
    shapes = NETWORKS["wrn22_2"]
    small = {"conv1", "b1.shortcut", "fc"}
    expected = {
        0.05: small,
        0.1: small | {"b2.shortcut"},
        0.2: small | {"b2.shortcut", "b3.shortcut"},
    }
    for density, names in expected.items():
        assert dense_layers(layer_counts("erk", shapes, density), shapes) == names
    assert len(dense_layers(layer_counts("erk", shapes, 0.5), shapes)) == 12


@pytest.mark.parametrize(
    ("kind", "density", "expected"),
    [
        ("erk", 0.1, 0.2418),
        ("erk", 0.2, 0.4138),
        ("uniform", 0.1, 0.1260),
        ("uniform", 0.2, 0.2231),
    ],
)
def test_flops_of_resnet50_at_224(kind, density, expected):
    assert round(flops_ratio(kind, resnet50(), density), 4) == expected


@pytest.mark.parametrize(
    ("kind", "density", "expected"),
    [
        ("erk", 0.05, 0.0881),
        ("erk", 0.1, 0.1736),
        ("erk", 0.2, 0.3521),
        ("erk", 0.5, 0.7282),
        ("uniform", 0.1, 0.1025),
        ("uniform", 0.2, 0.2022),
    ],
)
def test_flops_of_wrn22_2_are_those_of_the_rigl_reproduction(kind, density, expected):
    assert round(flops_ratio(kind, wrn22_2(), density), 4) == expected


def test_the_kernel_term_by_hand():
    # ERK: 4+4+3+3 = 14 and 8+8 = 16 of a budget of 30, so eps = 1. ER, which leaves the kernel
    # out: 144 x 8/16 = 72 and 64 x 16/64 = 16, eps = 30/88: 24.545 and 5.4545.
    shapes = {"conv": (4, 4, 3, 3), "fc": (8, 8)}
    assert layer_counts("erk", shapes, 30 / 208) == {"conv": 14, "fc": 16}
    assert layer_counts("er", shapes, 30 / 208) == {"conv": 25, "fc": 5}


def test_the_capacity_loop_by_hand():
    # ERK at 0.5 of 104: eps = 52/(3 + 20 + 3) = 2, so a and c would hold 2 x 3 = 6 of 2 weights.
    # They become dense and b gets the 48 others; capping alone would leave 2 + 40 + 2 = 44 of 52.
    shapes = {"a": (2, 1), "b": (10, 10), "c": (1, 2)}
    assert layer_counts("erk", shapes, 0.5) == {"a": 2, "b": 48, "c": 2}


@pytest.mark.parametrize(
    ("network", "density", "achieved"),
    [
        ("resnet50", 0.1, 0.0999),
        ("resnet50", 0.2, 0.1959),
        ("resnet50", 0.5, 0.430),
        ("wrn22_2", 0.05, 0.0487),
        ("wrn22_2", 0.5, 0.4161),
    ],
)
def test_without_the_capacity_loop_the_total_would_miss(network, density, achieved):
    shapes = NETWORKS[network]
    naive = reference.density_without_capacity_loop(shapes, density)
    assert naive == pytest.approx(achieved, abs=5.1e-5 if achieved != 0.430 else 5e-4)
    exact = sum(layer_counts("erk", shapes, density).values())
    assert exact - naive * size(shapes) > 50


def test_dense_and_density_one():
    full = {name: math.prod(shape) for name, shape in RESNET8.items()}
    for kind in ("dense", "uniform", "er", "erk"):
        assert layer_counts(kind, RESNET8, 1.0) == full


@pytest.mark.parametrize(
    ("kind", "density", "message"),
    [
        ("snip", 0.1, r"'snip'; valid: dense, uniform, er, erk"),
        ("erk", 0.0, r"density 0\.0; valid: above 0"),
        ("erk", 1.5, r"density 1\.5; valid: above 0, at most 1"),
        ("uniform", -0.1, r"density -0\.1"),
        ("dense", 0.5, r"'dense' has density 1, not 0\.5"),
        ("uniform", 0.001, r"leaves no weight in layer layer1\.0\.conv1"),
    ],
)
def test_bad_values_are_refused_by_name(kind, density, message):
    with pytest.raises(ValueError, match=message):
        layer_counts(kind, RESNET8, density)


def test_rounding_gives_the_missing_weights_to_the_largest_remainders():
    assert round_to_total([1.6, 1.7, 1.7], [9, 9, 9], 5) == [1, 2, 2]
    assert round_to_total([0.5, 0.5, 1.0], [9, 9, 9], 2) == [1, 0, 1]  # a tie: the earlier layer
    assert round_to_total([2.0, 1.4, 1.4], [2, 9, 9], 5) == [2, 2, 1]
    assert round_to_total([1.9, 0.1], [1, 4], 3) == [1, 2]  # a full layer passes the rest on
    with pytest.raises(ValueError, match="9 weights do not fit into layers of 8"):
        round_to_total([4.0, 4.0], [4, 4], 9)
