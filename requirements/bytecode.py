"""Give an environment the bytecode of what most processes import: ``python bytecode.py``.

To compile all of it takes a minute, most of it for packages' own tests; the rest is compiled where
it is imported. Another environment beside this one may have the same files already: uv links them.
"""

import compileall
import os
import re
import sys
import sysconfig
from importlib.util import source_from_cache
from pathlib import Path

PACKAGES = (
    *("torch", "torchgen", "torchvision", "triton", "cuda", "sympy", "mpmath", "numba", "llvmlite"),
    *("numpy", "scipy", "pandas", "matplotlib", "PIL", "fvcore", "iopath", "portalocker", "tqdm"),
    *("pydantic", "pydantic_core", "rich", "google", "tensorboard", "execnet", "_pytest"),
)
LEFT_OUT = re.compile(r"/(tests|testing/_internal)/")  # the latter has syntax of later Pythons


def link(site: Path, other: Path) -> None:
    """Take the bytecode in ``other`` of every source that is the same file in ``site``."""
    plain = f"*.{sys.implementation.cache_tag}.pyc"  # pytest's own, of rewritten files, is none
    for cached in other.glob(f"*/**/__pycache__/{plain}"):
        source, found = Path(source_from_cache(str(cached))), site / cached.relative_to(other)
        mine = site / source.relative_to(other)
        if source.is_file() and mine.is_file() and mine.samefile(source) and not found.exists():
            found.parent.mkdir(exist_ok=True)
            os.link(cached, found)


def main() -> int:
    """1 where a package is missing or does not compile."""
    site = Path(sysconfig.get_path("purelib"))
    below = site.relative_to(sys.prefix)
    for other in Path(sys.prefix).parent.glob(f"*/{below}"):
        if other != site:
            link(site, other)
    print("compiling the packages that most commands import: a minute, on a busy machine more")
    sys.stdout.flush()
    missed = [
        name
        for name in PACKAGES
        if not compileall.compile_dir(site / name, quiet=2, rx=LEFT_OUT, workers=0)
    ]
    if missed:
        print(f"not compiled: {', '.join(missed)} in {site}", file=sys.stderr)
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
