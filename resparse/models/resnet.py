"""Residual networks: the small one of the smoke level, and the papers' ResNet-50."""

import torch
import torchvision
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


def resnet50(classes: int, image_shape: tuple[int, ...]) -> nn.Module:
    """torchvision's ResNet-50 (stride on the 3x3): 25,502,912 maskable weights at 1,000 classes."""
    if image_shape != (3, 224, 224):
        raise ValueError(f"resnet50 takes images of 3x224x224, not {image_shape}")
    model: nn.Module = torchvision.models.resnet50(weights=None, num_classes=classes)
    return model
