"""What FFCV's own Loader makes of a .beton, in a process of its own: its errors wait for ever.

python tests/ffcv_own.py FILE centre|whole OUT.npz CACHES: labels, and by cache images (N, H, W, 3),
the centre crops of 224 in 256 or, where all have one size, all of them; cache "os" is the system's
of files, "pages" FFCV's own, which reads whole pages.
FFCV is imported where it is used: pytest looks for doctests in this file where there is none.
"""

import sys

import numpy as np


def read(path, decoder, *, os_cache):
    """(images, labels) in stored order."""
    from ffcv.fields.basics import IntDecoder
    from ffcv.loader import Loader, OrderOption

    loader = Loader(
        path,
        batch_size=4,
        num_workers=1,
        os_cache=os_cache,
        order=OrderOption.SEQUENTIAL,
        drop_last=False,
        pipelines={"image": [decoder], "label": [IntDecoder()]},
    )
    batches = [(images.copy(), labels.copy()) for images, labels in loader]
    images, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
    return images, labels[:, 0]


def main():
    from ffcv.fields.rgb_image import CenterCropRGBImageDecoder, SimpleRGBImageDecoder

    path, what, out, *caches = sys.argv[1:]
    decoders = {
        "centre": lambda: CenterCropRGBImageDecoder((224, 224), 224 / 256),
        "whole": SimpleRGBImageDecoder,
    }
    found = {}
    for cache in caches:
        found[cache], found["labels"] = read(path, decoders[what](), os_cache=cache == "os")
    np.savez(out, **found)


if __name__ == "__main__":
    main()
