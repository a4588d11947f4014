"""Maskable weights, parameters and MACs of each model, derived layer by layer from its paper."""

import pytest
import torch
from conftest import undrawn

from resparse.errors import UsageError
from resparse.flops import layer_macs
from resparse.models import MODELS, SIDES, build_model, maskable, takes

# A layer is (outputs, inputs of one output, kernel, side of the output map): outputs * inputs *
# kernel^2 weights, each multiplied once at side^2 positions. Batch norm has 2 parameters an output.


def vgg(third, sides):
    """13 convolutions: Simonyan & Zisserman 2015, table 1, columns C and D."""
    layers, inputs = [], 3
    for width, depth, side in zip((64, 128, 256, 512, 512), (2, 2, 3, 3, 3), sides, strict=True):
        for i in range(depth):
            kernel = third if i == 2 else 3
            # a 1x1 convolution padded by 1 gives a map larger by 2
            layers.append((width, inputs, kernel, side + (2 if kernel == 1 else 0)))
            inputs = width
    return layers


def blocks(widths, depths, side):
    """Basic blocks (He et al. 2016, table 1 and section 4.2): two 3x3; the first of a stage but the
    first has stride 2 and a 1x1 beside (their option B).
    """
    layers, inputs = [], widths[0]
    for i, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        side = side // 2 if i else side
        for block in range(depth):
            layers += [(width, inputs, 3, side), (width, width, 3, side)]
            if inputs != width:
                assert block == 0
                layers.append((width, inputs, 1, side))
            inputs = width
    return layers


def bottlenecks(side):
    """ResNet-50 (He et al. 2016, table 1): 1x1, 3x3 with the stride, 1x1 to four times as many."""
    layers, inputs = [], 64
    for i, (width, depth) in enumerate(zip((64, 128, 256, 512), (3, 4, 6, 3), strict=True)):
        before, side = side, side // 2 if i else side
        for block in range(depth):
            layers.append((width, inputs, 1, before if block == 0 else side))
            layers += [(width, width, 3, side), (4 * width, width, 1, side)]
            if block == 0:
                layers.append((4 * width, inputs, 1, side))
            inputs = 4 * width
    return layers


def mobilenet(side):
    """Howard et al. 2017, table 1: depthwise (one input an output) and pointwise convolutions."""
    layers, inputs = [], 32
    for outputs in (64, 128, 128, 256, 256, 512, *[512] * 5, 1024, 1024):
        if outputs != inputs and inputs > 32:  # a stride wherever the width doubles from 64 on
            side //= 2
        layers += [(inputs, 1, 3, side), (outputs, inputs, 1, side)]
        inputs = outputs
    return layers


def small_stem(width, side):
    return [(width, 3, 3, side)]


BIG_STEM = [(64, 3, 7, 112)]  # 224 / 2; pooling halves it again
FOUR = (64, 128, 256, 512)
LAYERS = {  # convolutions, each followed by batch norm
    ("resnet20", 32): small_stem(16, 32) + blocks((16, 32, 64), (3, 3, 3), 32),
    ("resnet32", 32): small_stem(16, 32) + blocks((16, 32, 64), (5, 5, 5), 32),
    ("resnet32_2", 32): small_stem(32, 32) + blocks((32, 64, 128), (5, 5, 5), 32),
    ("mobilenet_v1", 32): small_stem(32, 32) + mobilenet(32),
    ("vgg16", 32): vgg(3, (32, 16, 8, 4, 2)),
    ("vgg16_c", 32): vgg(1, (32, 16, 8, 5, 3)),  # 8 + 2 halves to 5, 5 + 2 to 3, 3 + 2 to 2
    ("resnet18", 32): small_stem(64, 32) + blocks(FOUR, (2, 2, 2, 2), 32),
    ("resnet18", 64): small_stem(64, 64) + blocks(FOUR, (2, 2, 2, 2), 64),
    ("resnet18", 224): BIG_STEM + blocks(FOUR, (2, 2, 2, 2), 56),
    ("resnet34", 32): small_stem(64, 32) + blocks(FOUR, (3, 4, 6, 3), 32),
    ("resnet50", 32): small_stem(64, 32) + bottlenecks(32),
    ("resnet50", 64): small_stem(64, 64) + bottlenecks(64),
    ("resnet50", 224): BIG_STEM + bottlenecks(56),
}
HIDDEN = {  # Lee et al. 2019: 512 wide
    "vgg16": [(512, 512), (512, 512)],
    "vgg16_c": [(512, 4 * 512), (512, 512)],
}
# Where a paper or torchvision has a figure of a network, it is named; the others' sources are those
# of their layers, and of their stem or widths: their functions in resparse/models name them.
FOUND = {  # classes, maskable weights, all parameters, MACs
    ("resnet20", 32): (10, 270_896, 272_474, 40_813_184),  # He et al., table 6: 0.27M
    ("resnet32", 32): (10, 464_432, 466_906, 69_124_736),  # He et al., table 6: 0.46M
    ("resnet32_2", 32): (10, 1_855_584, 1_860_522, 275_612_928),
    ("resnet18", 32): (10, 11_164_352, 11_173_962, 555_422_720),
    ("resnet18", 64): (200, 11_261_632, 11_271_432, 2_221_772_800),
    ("resnet18", 224): (1000, 11_678_912, 11_689_512, 1_814_073_344),  # torchvision: 11,689,512
    ("resnet34", 32): (100, 21_311_168, 21_328_292, 1_159_448_576),
    ("resnet50", 32): (100, 23_652_032, 23_705_252, 1_298_014_208),  # RigL repr., A: 2.59e9 FLOPs
    ("resnet50", 64): (200, 23_856_832, 23_910_152, 5_191_647_232),
    ("resnet50", 224): (1000, 25_502_912, 25_557_032, 4_089_184_256),  # torchvision: 25,557,032
    ("mobilenet_v1", 32): (10, 3_195_328, 3_217_226, 46_354_432),
    ("vgg16", 32): (10, 15_239_872, 15_255_626, 313_725_952),  # Lee et al., table 2: 15.2M
    ("vgg16_c", 32): (10, 11_307_712, 11_323_466, 310_973_440),
}


def derived(name, side, classes):
    """(maskable weights, parameters, MACs) from the layers above."""
    convolutions, hidden = LAYERS[name, side], HIDDEN.get(name, [])
    weights = sum(out * inputs * k * k for out, inputs, k, _ in convolutions)
    macs = sum(out * inputs * k * k * at * at for out, inputs, k, at in convolutions)
    last = hidden[-1][0] if hidden else max(out for out, *_ in convolutions)
    linear = sum(out * inputs for out, inputs in hidden) + classes * last
    normed = sum(out for out, *_ in convolutions) + sum(out for out, _ in hidden)
    biases = classes + (normed if hidden else 0)  # VGG's convolutions and hidden layers have one
    return weights + linear, weights + linear + 2 * normed + biases, macs + linear


@pytest.mark.parametrize(("name", "side"), LAYERS)
def test_counts_by_hand(name, side):
    classes, *counts = FOUND[name, side]
    assert list(derived(name, side, classes)) == counts
    model = undrawn(name, classes, (3, side, side))
    weights = maskable(model)
    found = sum(w.numel() for w in weights.values()), sum(p.numel() for p in model.parameters())
    macs = layer_macs(model, (3, side, side))
    assert [*found, sum(macs.values())] == counts
    assert list(macs) == list(weights)


COUNTED_ELSEWHERE = {("mlp", 32), ("wrn22_2", 32)}  # test_models.py, as the smoke level's are


def test_the_mlp_multiplies_each_weight_once():
    """3072-1024-512-10, ITOP's appendix A.1."""
    macs = layer_macs(build_model("mlp", 10, (3, 32, 32), 0), (3, 32, 32))
    assert macs == {"fc1": 3072 * 1024, "fc2": 1024 * 512, "fc3": 512 * 10}
    assert sum(macs.values()) == 3_675_136


def test_every_model_and_size_is_counted():
    sizes = {(name, side) for name, sides in SIDES.items() for side in sides}
    assert set(SIDES) == set(MODELS)
    assert set(LAYERS) == set(FOUND) == sizes - COUNTED_ELSEWHERE


@pytest.mark.parametrize("name", MODELS)
def test_other_images_are_refused_with_the_valid_ones(name):
    if not SIDES[name]:
        assert takes(name, (1, 8, 8))
        return
    valid = " or ".join(f"3x{side}x{side}" for side in SIDES[name])
    for shape, given in {
        (1, 32, 32): "1x32x32",
        (3, 96, 96): "3x96x96",
        (3, 32, 64): "3x32x64",
    }.items():
        assert not takes(name, shape)
        with pytest.raises(UsageError) as refused:
            build_model(name, 10, shape, 0)
        assert str(refused.value) == f"model {name} does not take images of {given}; valid: {valid}"


@pytest.mark.parametrize(("name", "side"), [key for key in LAYERS if key[1] > 32 or "50" in key[0]])
def test_a_batch_gives_one_logit_a_class_at_every_size(name, side):
    """Those of 32x32 are in test_models.py, but ResNet-50."""
    model = build_model(name, 7, (3, side, side), 0).eval()
    with torch.no_grad():
        logits = model(torch.randn(2, 3, side, side))
    assert logits.shape == (2, 7)
    assert torch.isfinite(logits).all()


def test_resnet50_strides_on_the_3x3_and_has_one_stem_convolution():
    for side in (32, 64, 224):
        model = undrawn("resnet50", 100, (3, side, side))
        strided = [n for n, m in model.named_modules() if getattr(m, "stride", 1) == (2, 2)]
        inner = [n for n in strided if n.startswith("layer") and "downsample" not in n]
        assert inner == ["layer2.0.conv2", "layer3.0.conv2", "layer4.0.conv2"]
        stem = model.conv1
        assert (stem.kernel_size, stem.stride) == (
            ((7, 7), (2, 2)) if side == 224 else ((3, 3), (1, 1))
        )
