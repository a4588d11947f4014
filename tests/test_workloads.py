"""The suite's workloads in steps: the papers' epochs and drops by arithmetic."""

import pytest

from resparse import data, workloads

ITOP = ":val=5000:pad=reflect"  # 45,000 images: 351 steps of 128 an epoch
PAPERS = {  # dataset, batch, steps, drops and their factor, warm-up, rate, weight decay, smoothing
    # ITOP, appendix A.3: the rate is divided by 10 every 24,000 steps (MLP) and 30,000 (VGG-16),
    # and at epochs 100 and 150 (ResNet-34); a tenth of the images is held out
    "cifar10_mlp": ("cifar10" + ITOP, 128, 200 * 351, (24_000, 48_000), 0.1, 0, 0.01, 5e-4, 0),
    "cifar10_vgg16": ("cifar10" + ITOP, 128, 250 * 351, (30_000, 60_000), 0.1, 0, 0.1, 5e-4, 0),
    # ITOP, appendix F: drops at epochs 125 and 187
    "cifar10_resnet18": (
        *("cifar10" + ITOP, 128, 250 * 351, (125 * 351, 187 * 351), 0.1, 0, 0.1, 5e-4, 0),
    ),
    "cifar100_resnet34": (
        *("cifar100:val=5000", 128, 200 * 351, (100 * 351, 150 * 351), 0.1, 0, 0.1, 1e-4, 0),
    ),
    # RigL reproduction, section 4.2, and what its released code does where that is silent:
    # x0.2 every 30,000 steps (20,000 on CIFAR-100, of 40,000 images), 1,760 steps of warm-up
    "cifar10_wrn22_2": ("cifar10" + ITOP, 128, 250 * 351, (30_000, 60_000), 0.2, 0, 0.1, 5e-4, 0),
    "cifar100_resnet50": (
        *("cifar100:val=10000", 128, 250 * 312, (20_000, 40_000, 60_000)),
        *(0.2, 1760, 0.1, 1e-4, 0.1),
    ),
    # sanity checks, table E.1: 160 epochs, divided by 10 at 80 and 120
    "cifar10_resnet20": ("cifar10", 64, 160 * 781, (80 * 781, 120 * 781), 0.1, 0, 0.1, 5e-4, 0),
    "cifar100_resnet32": ("cifar100", 64, 160 * 781, (80 * 781, 120 * 781), 0.1, 0, 0.1, 5e-4, 0),
    "tiny_imagenet_resnet18": (
        *("tiny_imagenet", 32, 160 * 3125, (80 * 3125, 120 * 3125), 0.1),
        *(20 * 3125, 0.1, 5e-4, 0),
    ),
}


@pytest.mark.parametrize("name", PAPERS)
def test_a_papers_workload_is_what_the_paper_says(name):
    problem = workloads.workload(name)
    made = problem.recipe.resolve(problem.train_size, 1.0)
    assert (
        *(problem.dataset, made.batch_size, made.steps, made.lr_drops, made.lr_factor),
        *(made.warmup, made.lr, made.weight_decay, made.label_smoothing),
    ) == PAPERS[name]
    assert (made.lr_shape, made.momentum) == ("steps", 0.9)
    assert problem.precision == "fp32"


@pytest.mark.parametrize("name", workloads.WORKLOADS)
def test_each_workload_has_weights_to_mask_and_one_name_of_its_dataset(name):
    problem = workloads.workload(name)
    assert data.named(problem.dataset) == problem.dataset
    assert len(problem.shapes) >= 3
    assert list(problem.shapes.values())[-1][0] == data.describe(problem.dataset).classes


def test_on_jpegs_the_mlp_trains_as_on_cifar10():
    ours, papers = (workloads.workload(f"{name}_mlp") for name in ("cifar10_jpeg75", "cifar10"))
    assert ours.recipe == papers.recipe
    assert ours.dataset == "cifar10_jpeg75" + ITOP
    assert not ours.needs_gpu
