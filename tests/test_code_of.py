"""A run's fingerprint covers each file whose code decides its numbers, and no other."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ENGINE = (
    *("masks", "method", "schedules", "distributions", "exploration", "flops", "seeds"),
    *("trainer", "training", "outcome", "precision", "registry", "models/__init__"),
)
DECIDING = [
    *(
        f"resparse/{part}.py"
        for part in (
            *(*ENGINE, "data/digits", "data/memory", "data/order", "models/resnet"),
            *("engine/draw", "engine/masking", "engine/threads", "selection", "storage"),
        )
    ),
    "methods/rigl.py",
]
OTHERS = [
    *(
        f"resparse/{part}.py"
        for part in ("data/imagenet", "data/synthetic", "tables/render", "verdict")
    ),
    *("resparse/tables/cells.py", "resparse/progress.py", "methods/set.py"),
]
EDIT = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from resparse.record import Recipe, Run
from resparse.worker import code_of

run = Run(
    model="resnet8", dataset="digits", dataset_sha256="0", method="rigl", fields={},
    distribution="erk", density=0.1, seed=0, precision="portable",
    recipe=Recipe(batch_size=64, steps=30, lr=0.1, lr_shape="cosine"),
)

def now():
    getattr(code_of, "cache_clear", lambda: None)()
    return code_of(run)

found = {"": now()}
for name in sys.argv[2:]:
    path = Path(sys.argv[1]) / name
    text = path.read_text()
    path.write_text(text + "\\n_EDITED = 1\\n")
    found[name] = now()
    path.write_text(text + "\\n# a comment\\n")
found["comments"] = now()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Fingerprint of one run by what was edited in a copy of the package."""
    copy = tmp_path_factory.mktemp("copy")
    for part in ("resparse", "methods"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", EDIT, str(copy), *DECIDING, *OTHERS],
        cwd=copy, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", DECIDING)
def test_code_that_decides_a_runs_numbers_changes_its_fingerprint(name, found):
    assert found[name] != found[""]


def test_each_change_of_code_gives_another_fingerprint(found):
    assert len({found[name] for name in DECIDING}) == len(DECIDING)


@pytest.mark.parametrize("name", [*OTHERS, "comments"])
def test_comments_and_the_code_of_other_methods_data_and_reports_do_not(name, found):
    assert found[name] == found[""]
