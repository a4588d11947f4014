"""Every network against its paper's definition, written out in functions of its weights."""

import pytest
import torch
from torch.nn import functional as F

from resparse.models import MODELS, build_model

RESNETS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
STAGES = {"resnet8": 0, "resnet20": 3, "resnet32": 5, "resnet32_2": 5}  # blocks a stage; 0: bare


class Weights(dict):
    """A network's state by name, and what layers of these weights do in evaluation."""

    def conv(self, x, name, stride=1, padding=None, groups=1):
        """Padded so that a stride of 1 keeps the map's size, unless ``padding`` is given."""
        weight = self[f"{name}.weight"]
        padding = weight.shape[-1] // 2 if padding is None else padding
        return F.conv2d(x, weight, self.get(f"{name}.bias"), stride, padding, groups=groups)

    def norm(self, x, name):
        """By the running statistics, whatever the batch."""
        parts = (self[f"{name}.{p}"] for p in ("running_mean", "running_var", "weight", "bias"))
        shape = (1, -1) + (1,) * (x.dim() - 2)
        mean, var, scale, shift = (part.view(shape) for part in parts)
        return (x - mean) / (var + 1e-5).sqrt() * scale + shift

    def linear(self, x, name):
        return x @ self[f"{name}.weight"].T + self[f"{name}.bias"]

    def relu(self, x):
        return x.clamp(min=0)

    def conv_norm_relu(self, x, conv, norm, **options):
        return self.relu(self.norm(self.conv(x, conv, **options), norm))

    def shortcut(self, x, name, stride):
        """The identity, or a 1x1 convolution and batch norm where there is one."""
        if f"{name}.0.weight" not in self:
            return x
        return self.norm(self.conv(x, f"{name}.0", stride), f"{name}.1")

    def basic(self, x, name, stride, shortcut):
        """He et al. 2016, figure 5, left."""
        out = self.conv_norm_relu(x, f"{name}.conv1", f"{name}.bn1", stride=stride)
        out = self.norm(self.conv(out, f"{name}.conv2"), f"{name}.bn2")
        return self.relu(out + self.shortcut(x, f"{name}.{shortcut}", stride))

    def bottleneck(self, x, name, stride):
        """He et al. 2016, figure 5, right; the stride on the 3x3."""
        out = self.conv_norm_relu(x, f"{name}.conv1", f"{name}.bn1")
        out = self.conv_norm_relu(out, f"{name}.conv2", f"{name}.bn2", stride=stride)
        out = self.norm(self.conv(out, f"{name}.conv3"), f"{name}.bn3")
        return self.relu(out + self.shortcut(x, f"{name}.downsample", stride))

    def wide(self, x, name, stride):
        """Zagoruyko & Komodakis 2016, figure 1 (d): batch norm and ReLU before convolutions."""
        active = self.relu(self.norm(x, f"{name}.bn1"))
        out = self.relu(self.norm(self.conv(active, f"{name}.conv1", stride), f"{name}.bn2"))
        out = self.conv(out, f"{name}.conv2")
        changes = f"{name}.shortcut.weight" in self
        return out + (self.conv(active, f"{name}.shortcut", stride) if changes else x)

    def averaged(self, x):
        return self.linear(x.mean(dim=(2, 3)), "fc")


def three_stages(w, x, blocks):
    out = w.conv_norm_relu(x, "conv1", "bn1")
    for stage in range(3):
        for block in range(max(blocks, 1)):
            name = f"stages.{stage}.{block}" if blocks else f"stages.{stage}"
            out = w.basic(out, name, 2 if stage and not block else 1, "shortcut")
    return w.averaged(out)


def four_stages(w, x, name):
    """He et al. 2016, table 1, but for the stem: at 32x32 a convolution of stride 1."""
    out = w.conv_norm_relu(x, "conv1", "bn1")
    for stage, depth in enumerate(RESNETS[name], start=1):
        for block in range(depth):
            at, stride = f"layer{stage}.{block}", 2 if stage > 1 and not block else 1
            if name == "resnet50":
                out = w.bottleneck(out, at, stride)
            else:
                out = w.basic(out, at, stride, "downsample")
    return w.averaged(out)


def wrn(w, x):
    out = w.conv(x, "conv1")
    for stage in range(3):
        for block in range(3):
            out = w.wide(out, f"stages.{stage}.{block}", 2 if stage and not block else 1)
    return w.averaged(w.relu(w.norm(out, "bn")))


def vgg(w, x):
    """Convolutions padded by 1 whatever their kernel, as in ITOP's code."""
    at = 0
    for depth in (2, 2, 3, 3, 3):
        for _ in range(depth):
            x = w.conv_norm_relu(x, f"features.{at}", f"features.{at + 1}", padding=1)
            at += 3
        x = F.max_pool2d(x, 2)
        at += 1
    x = x.flatten(1)
    for layer, norm in ((0, 2), (3, 5)):
        x = w.norm(w.relu(w.linear(x, f"classifier.{layer}")), f"classifier.{norm}")
    return w.linear(x, "classifier.6")


def mobilenet(w, x):
    """Howard et al. 2017, table 1 from its second row on, and figure 3, right."""
    out = w.conv_norm_relu(x, "conv1", "bn1")
    for block, stride in enumerate((1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)):
        name, each = f"blocks.{block}", out.shape[1]
        out = w.conv_norm_relu(out, f"{name}.conv1", f"{name}.bn1", stride=stride, groups=each)
        out = w.conv_norm_relu(out, f"{name}.conv2", f"{name}.bn2")
    return w.averaged(out)


def mlp(w, x):
    out = w.relu(w.linear(x.flatten(1), "fc1"))
    return w.linear(w.relu(w.linear(out, "fc2")), "fc3")


def by_definition(name, w, x):
    if name in STAGES:
        return three_stages(w, x, STAGES[name])
    if name in RESNETS:
        return four_stages(w, x, name)
    if name.startswith("mlp"):
        return mlp(w, x)
    return {"wrn22_2": wrn, "vgg16": vgg, "vgg16_c": vgg, "mobilenet_v1": mobilenet}[name](w, x)


def stirred(model):
    """Batch norms of any statistics, scales and shifts: at their first values they hide much."""
    rng = torch.Generator().manual_seed(2)
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.5, generator=rng)
            module.running_var.uniform_(0.3, 1.5, generator=rng)
            module.weight.data.uniform_(0.5, 1.5, generator=rng)
            module.bias.data.normal_(0, 2.5, generator=rng)
    return model


LARGE = ("vgg16", "vgg16_c", *RESNETS)


@pytest.mark.parametrize("name", [*(n for n in MODELS if n not in LARGE), *LARGE])
def test_a_network_computes_what_its_paper_defines(name):
    image = (1, 8, 8) if name in ("resnet8", "mlp_small") else (3, 32, 32)
    model = stirred(build_model(name, 10, image, 0)).eval()
    images = torch.randn(2, *image, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found, expected = model(images), by_definition(name, Weights(model.state_dict()), images)
    scale = float(expected.std())
    assert scale > 0.05
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * scale)


def test_wide_blocks_drop_out_between_the_convolutions_only():
    """All dropped, only the shortcut is left: dropped before batch norm its shift would come on."""
    model = stirred(build_model("wrn22_2", 10, (3, 32, 32), 0)).train()
    block = model.stages[1][1]
    block.dropout.p = 1.0
    x = torch.randn(2, 64, 8, 8, generator=torch.Generator().manual_seed(3))
    assert torch.equal(block(x), x)
