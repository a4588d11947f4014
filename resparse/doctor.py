"""The command `doctor`: what this machine has, and what is missing for what."""

import importlib.util
import json
import platform
import shutil

import torch

from resparse.artifact import ROOT
from resparse.reproduce import gpu_lacks


def doctor(*, as_json: bool) -> int:
    """Print the findings; 4 when a GPU is present but this torch cannot use it, else 0."""
    found = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda of torch": torch.version.cuda or "none",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "cpu capability": torch.backends.cpu.get_cpu_capability(),
        "ffcv": "installed" if importlib.util.find_spec("ffcv") else "not installed (an extra)",
        "disk free": f"{shutil.disk_usage(ROOT).free / 1e9:.1f} GB",
    }
    lacks = gpu_lacks() if torch.cuda.is_available() else []
    if as_json:
        print(json.dumps(found | {"problems": lacks}, indent=1))
    else:
        for key, value in found.items():
            print(f"{key}: {value}")
        for lack in lacks:
            print(f"problem: {lack}")
    return 4 if lacks else 0
