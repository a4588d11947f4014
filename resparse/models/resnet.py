"""Residual networks of basic blocks: the smoke level's small one, He et al.'s three stages."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, 1x1 where the shape changes (He et al. 2016, fig. 5)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs or stride != 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class SmallResNet(nn.Module):
    """A 3x3 stem, one block a stage, global average, a linear classifier."""

    def __init__(self, channels: int, widths: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        blocks = [
            BasicBlock(widths[max(i - 1, 0)], width, 1 if i == 0 else 2)
            for i, width in enumerate(widths)
        ]
        self.stages = nn.Sequential(*blocks)
        self.fc = nn.Linear(widths[-1], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, classes)."""
        out = self.stages(F.relu(self.bn1(self.conv1(x))))
        return torch.as_tensor(self.fc(out.mean(dim=(2, 3))))


def resnet8(classes: int, image_shape: tuple[int, ...]) -> nn.Module:
    """The smoke level's network, widths 4-8-16: 4,964 maskable weights on one-channel digits."""
    return SmallResNet(image_shape[0], (4, 8, 16), classes)


class ThreeStages(nn.Module):
    """A 3x3 stem, three stages of ``blocks`` blocks at 32x32, 16x16 and 8x8, a linear classifier.

    He et al. 2016, section 4.2, but with 1x1 convolutions in the shortcuts that change the shape
    (their option B) where they pad with zeros (option A): the code that Ma et al. 2021 ("Sanity
    checks for lottery tickets") released does so, and prunes them. Convolutions start from
    N(0, 2 / (k k out)) as there (He et al. 2015), the classifier from torch's default.
    """

    def __init__(self, blocks: int, widths: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        stages = []
        for i, width in enumerate(widths):
            first = BasicBlock(widths[max(i - 1, 0)], width, 1 if i == 0 else 2)
            others = [BasicBlock(width, width, 1) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(first, *others))
        self.stages = nn.Sequential(*stages)
        self.fc = nn.Linear(widths[2], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, classes)."""
        out = self.stages(F.relu(self.bn1(self.conv1(x))))
        return torch.as_tensor(self.fc(out.mean(dim=(2, 3))))


def resnet20(classes: int, image_shape: tuple[int, ...]) -> nn.Module:
    """ResNet-20 of widths 16-32-64: 270,896 maskable weights, 40,813,184 MACs at 10 classes."""
    return ThreeStages(3, (16, 32, 64), classes)


def resnet32(classes: int, image_shape: tuple[int, ...]) -> nn.Module:
    """ResNet-32 of widths 16-32-64: 464,432 maskable weights, 69,124,736 MACs at 10 classes."""
    return ThreeStages(5, (16, 32, 64), classes)


def resnet32_2(classes: int, image_shape: tuple[int, ...]) -> nn.Module:
    """ResNet-32 twice as wide: 1,855,584 maskable weights, 275,612,928 MACs at 10 classes.

    What the code of Ma et al. 2021 builds under the name ResNet-32 (from Wang et al. 2020, GraSP);
    the paper does not print widths. That code draws the classifier from N(0, 0.01) with biases 0.
    """
    model = ThreeStages(5, (32, 64, 128), classes)
    nn.init.normal_(model.fc.weight, 0.0, 0.01)
    nn.init.zeros_(model.fc.bias)
    return model
