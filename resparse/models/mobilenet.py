"""MobileNet-v1 (Howard et al. 2017) for CIFAR."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BLOCKS = (  # outputs and stride
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1)),
)


class Separable(nn.Module):
    """A depthwise 3x3 and a pointwise 1x1 convolution, BN and ReLU after each."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv2 = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)))


class MobileNet(nn.Module):
    """A 3x3 stem of 32 channels, thirteen separable blocks, global average, a linear classifier.

    torch's default initialisation, as in the code of Ma et al. 2021.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        inputs = (32, *(outputs for outputs, _ in BLOCKS[:-1]))
        pairs = zip(inputs, BLOCKS, strict=True)
        self.blocks = nn.Sequential(
            *(Separable(i, outputs, stride) for i, (outputs, stride) in pairs)
        )
        self.fc = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, classes)."""
        out = self.blocks(F.relu(self.bn1(self.conv1(x))))
        return torch.as_tensor(self.fc(out.mean(dim=(2, 3))))


def mobilenet_v1(classes: int, image_shape: tuple[int, ...]) -> nn.Module:
    """MobileNet-v1 of width 1: 3,195,328 maskable weights, 46,354,432 MACs at 10 classes.

    The paper's has a stem of stride 2 for 224x224; on 32x32 the stem's stride is 1, as in the code
    of Ma et al. 2021, and 2x2 positions are left to average.
    """
    return MobileNet(classes)
