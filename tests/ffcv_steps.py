"""Real training steps through the ffcv loader, alone or under torchrun, with every image counted.

Images: DIR/<wnid>/*.JPEG, to train on and to test on alike. Prints one line of JSON on rank 0: the
loss of each step, the labels that each process trained on (where every image has a class of its
own, they say which images), and the test images counted.

torchrun --nproc-per-node 2 tests/ffcv_steps.py DIR --model resnet50 --steps 20
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import distributed
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from resparse.data import beton_writer
from resparse.data.beton import Settings, sidecar_of
from resparse.data.ffcv_loader import Betons
from resparse.data.order import own_share
from resparse.errors import Corrupt
from resparse.models import build_model
from resparse.outcome import count_correct


def train(data, model, batch, steps):
    """(losses, labels) of this process's part of each batch."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    losses, seen = [], []
    for images, labels in data.train_batches(0, batch, 0, steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        seen += labels.tolist()
    return losses, seen


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=20, help="of all processes together")
    text = "written there where it is not yet (default: in a temporary folder)"
    parser.add_argument("--beton", type=Path, metavar="FILE", help=text)
    given = parser.parse_args()
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1:
        distributed.init_process_group("gloo")
    share = own_share()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        places = [str(given.beton or Path(name) / "images.beton")]
        if share.rank == 0 and not sidecar_of(Path(places[0])).is_file():
            settings = Settings(max_resolution=400)
            beton_writer.write(given.folder, Path(places[0]), settings, workers=2)
        if world > 1:
            distributed.broadcast_object_list(places, src=0)  # waits until it is written
        try:
            data = Betons("steps", Path(places[0]), Path(places[0]), workers=1, share=share)
        except Corrupt as error:
            print(f"process {share.rank}: {error}", file=sys.stderr, flush=True)
            if world > 1:
                distributed.barrier()  # which no other would come to, did it not raise too
            sys.exit(error.exit_code)
        model = build_model(given.model, data.classes, data.image_shape, 0)
        network = DistributedDataParallel(model) if world > 1 else model
        began = time.monotonic()
        losses, labels = train(data, network, given.batch, given.steps)
        seconds = time.monotonic() - began
        right = count_correct(model, model, data, "test", given.batch)
        every = [(losses, labels)] * world
        if world > 1:
            distributed.all_gather_object(every, (losses, labels))
        if share.rank == 0:
            report = {
                "world": world,
                "losses": [sum(step) / world for step in zip(*(e[0] for e in every), strict=True)],
                "labels": [labels for _, labels in every],
                "correct": right,
                "tested": data.size("test"),  # else count_correct raises
                "seconds": round(seconds, 1),
            }
            print(json.dumps(report), flush=True)
    if world > 1:
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
