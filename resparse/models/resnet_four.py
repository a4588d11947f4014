"""Residual networks of four stages, ResNet-18, -34 and -50: torchvision's, the stem by image size.

224x224: He et al. 2016, table 1 (7x7 convolution of stride 2, then pooling), the stride of
ResNet-50 on the 3x3. 32x32 and 64x64: one 3x3 convolution of stride 1 and no pooling, all else
alike; so ITOP's code and the RigL reproduction (its table 6) at 32x32. For Tiny-ImageNet's 64x64
Ma et al. 2021 describe and release no stem; this is the usual choice, not known to be theirs.

Weights start as torchvision's: convolutions from N(0, 2 / (k k out)) (He et al. 2015), the
classifier from torch's default; where a paper at hand differs, its function says so.
"""

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torchvision.models import ResNet


def resnet18(classes: int, image_shape: tuple[int, ...]) -> nn.Module:
    """ResNet-18: 11,164,352 maskable weights, 555,422,720 MACs at 3x32x32 and 10 classes.

    1,814,073,344 MACs at 224x224. At 32x32 initialised as ITOP's, see ``default_init``.
    """
    from torchvision.models import resnet18  # it takes a second to load: where it is needed

    model = _with_stem(resnet18(weights=None, num_classes=classes), image_shape)
    return default_init(model) if image_shape[-1] == 32 else model


def resnet34(classes: int, image_shape: tuple[int, ...]) -> nn.Module:
    """ResNet-34: 21,311,168 maskable weights, 1,159,448,576 MACs at 3x32x32 and 100 classes."""
    from torchvision.models import resnet34

    model = resnet34(weights=None, num_classes=classes)
    return default_init(_with_stem(model, image_shape))


def resnet50(classes: int, image_shape: tuple[int, ...]) -> nn.Module:
    """ResNet-50: 25,502,912 maskable weights, 4,089,184,256 MACs at 224x224 and 1,000 classes.

    23,652,032 and 1,298,014,208 at 3x32x32 and 100 classes (RigL reproduction, appendix A; its
    section 4.1 says two stem convolutions, its count and its code have one). There the last batch
    norm of a block starts at 0, so that the block is the identity (its section 4.2).
    """
    from torchvision.models import resnet50

    zero = image_shape[-1] == 32
    model = resnet50(weights=None, num_classes=classes, zero_init_residual=zero)
    made: nn.Module = _with_stem(model, image_shape)
    return made


def default_init(model: nn.Module) -> nn.Module:
    """Convolutions drawn anew from torch's default, U(-b, b) with b = 1 / sqrt(k k in).

    ITOP's released ResNets have nothing else. Their classifier has no bias and always 100 outputs;
    He et al., whom the paper cites, have one, and here outputs follow the dataset.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.reset_parameters()
    return model


def _with_stem(model: "ResNet", image_shape: tuple[int, ...]) -> "ResNet":
    if image_shape[-1] < 224:
        model.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
        model.maxpool = nn.Identity()
    return model
