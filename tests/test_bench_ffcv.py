"""The benchmark of the loaders with FFCV: three rows, each from a process of its own."""

import pytest
from small_betons import LACK, folder_of

from resparse.bench import loaders as bench_loaders
from resparse.errors import Missing, UsageError

pytestmark = [pytest.mark.ffcv, pytest.mark.skipif(bool(LACK), reason=LACK)]


def test_each_loader_is_timed_in_a_process_of_its_own(tmp_path):
    with pytest.raises(Missing, match="imagenet-sample is not there"):
        bench_loaders.loaders_report(tmp_path, 8, 1, 4)
    folder_of(tmp_path / "imagenet-sample")
    with pytest.raises(UsageError, match=r"--batch 9 for the 8 images of .*; valid: 1 to 8"):
        bench_loaders.loaders_report(tmp_path, 8, 1, 9)
    said = []
    rows = bench_loaders.loaders_report(tmp_path, 8, 1, 4, said.append)
    assert [(r.loader, r.max_resolution) for r in rows] == [
        ("torch", None),
        ("ffcv", 400),
        ("ffcv", 500),
    ]
    assert [r.ratio for r in rows] == [r.images_per_s / rows[0].images_per_s for r in rows]
    assert all(r.images_per_s > 0 and r.peak_mib > 100 for r in rows)
    assert len(said) == 3
