"""VGG-16 for CIFAR (Lee et al. 2019, SNIP): a 512-wide classifier, batch norm for dropout.

ITOP's appendix A.1 says "VGG-16", which in SNIP is two networks, C and D. The commands in ITOP's
README train C, its paper does not say which; both are here.
"""

import torch
from torch import Tensor, nn

WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGG(nn.Module):
    """Conv-BN-ReLU, pooled after each of five stages; three linear layers, ReLU-BN between.

    All layers have biases and torch's default initialisation, as in ITOP's code; SNIP's draws
    weights by variance scaling and normalises before the classifier's ReLU.
    """

    def __init__(self, classes: int, *, third_kernel: int, flat: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for stage in WIDTHS:
            for i, width in enumerate(stage):
                kernel = third_kernel if i == 2 else 3
                layers += [nn.Conv2d(inputs, width, kernel, padding=1), nn.BatchNorm2d(width)]
                layers.append(nn.ReLU())
                inputs = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            *(nn.Linear(flat, 512), nn.ReLU(), nn.BatchNorm1d(512)),
            *(nn.Linear(512, 512), nn.ReLU(), nn.BatchNorm1d(512)),
            nn.Linear(512, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 32, 32) -> (N, classes)."""
        return torch.as_tensor(self.classifier(self.features(x).flatten(1)))


def vgg16(classes: int, image_shape: tuple[int, ...]) -> nn.Module:
    """VGG-D, all kernels 3x3: 15,239,872 maskable weights, 313,725,952 MACs at 10 classes.

    SNIP prints 15.2M for it. Ma et al. 2021 take their VGG-16 from GraSP: one linear layer and no
    convolution biases, which is another network.
    """
    return VGG(classes, third_kernel=3, flat=512)


def vgg16_c(classes: int, image_shape: tuple[int, ...]) -> nn.Module:
    """VGG-C, whose third convolution of a stage is 1x1: what the commands in ITOP's README train.

    11,307,712 maskable weights at 10 classes. As in ITOP's code its 1x1 convolutions pad by 1, so
    that maps grow and 2048 values enter the classifier; SNIP's do not (512; 10.5M weights).
    """
    return VGG(classes, third_kernel=1, flat=2048)
