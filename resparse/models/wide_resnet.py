"""Wide residual networks (Zagoruyko & Komodakis 2016), as in the RigL reproduction."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DROPOUT = 0.3  # between the convolutions of a block; the paper does not print it, its code does


class PreActivation(nn.Module):
    """BN-ReLU-conv twice and a shortcut, 1x1 after the first BN-ReLU where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.dropout = nn.Dropout(DROPOUT)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.shortcut: nn.Conv2d | None = None
        if inputs != outputs or stride != 1:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        active = F.relu(self.bn1(x))
        out = self.dropout(F.relu(self.bn2(self.conv1(active))))
        rest = x if self.shortcut is None else self.shortcut(active)
        return torch.as_tensor(self.conv2(out) + rest)


class WideResNet(nn.Module):
    """A 3x3 stem of 16 channels, three stages of (depth - 4) / 6 blocks, BN-ReLU, global average.

    Convolutions start from N(0, 2 / (k k out)) (He et al. 2015), the classifier's bias from 0, as
    in the reproduction's code.
    """

    def __init__(self, channels: int, depth: int, width: int, classes: int) -> None:
        super().__init__()
        widths = [16, 16 * width, 32 * width, 64 * width]
        self.conv1 = nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False)
        stages, blocks = [], (depth - 4) // 6
        for i in range(3):
            first = PreActivation(widths[i], widths[i + 1], 1 if i == 0 else 2)
            others = [PreActivation(widths[i + 1], widths[i + 1], 1) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(first, *others))
        self.stages = nn.Sequential(*stages)
        self.bn = nn.BatchNorm2d(widths[3])
        self.fc = nn.Linear(widths[3], classes)
        nn.init.zeros_(self.fc.bias)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, classes)."""
        out = F.relu(self.bn(self.stages(self.conv1(x))))
        return torch.as_tensor(self.fc(out.mean(dim=(2, 3))))


def wrn22_2(classes: int, image_shape: tuple[int, ...]) -> nn.Module:
    """WRN-22-2 (RigL reproduction, section 4.1): 1,076,912 maskable weights at 10 classes.

    157,730,048 MACs on 3x32x32, which its counter doubles: 3.155e8 FLOPs.
    """
    return WideResNet(image_shape[0], 22, 2, classes)
