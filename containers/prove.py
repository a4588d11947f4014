"""Build the image's recipe without a Docker engine, and run it: ``nox -s container``, as root.

Buildah works through containers/Dockerfile in a chroot, on a base that mmdebstrap makes from the
same Debian release; the image then runs `resparse doctor` and one seed of a table, and is broken.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "containers" / "Dockerfile"
DEBIAN = ("buildah", "mmdebstrap")
BASE, IMAGE = "localhost/resparse-base:own", "localhost/resparse:own"
CA = "/run/resparse-certificates.crt"  # where a build finds this machine's certificates
TABLE = ("reproduce", "itop/table2", "--level", "smoke", "--seeds", "0")
HELD = "id; ls -A; du -shx / 2>/dev/null; wc -l /usr/share/resparse/*"
BROKEN = (  # what is taken away, as root; each time doctor has to end with 4
    "rm /usr/lib/*/libturbojpeg.so.0* && pip uninstall --quiet --yes ruff",
    "sed -i '0,/sha256:[0-9a-f]/s//sha256:/' requirements/default.lock requirements/v100.lock",
)
PROVEN = """\
proven: each step of the recipe runs on Debian {release}, in order and to its end; the environment
  in the image is the lock {lock} (resparse doctor found no problem there, as the image's own user);
  FFCV loads with the runtime packages alone; the table trains and prints there; doctor ends with 4
  where FFCV's library, a package and a digit of the lock's are taken away.
not proven: the base by its digest (not pulled: mmdebstrap made another, of today's packages);
  the Debian snapshot (the base's sources file named this machine's mirror in its place);
  a Docker engine, BuildKit, Apptainer, compose; a GPU in the image."""


class Refused(Exception):
    """A step did not end well: which, and its exit code."""


def run(*command: str, code: int = 0) -> None:
    """Run a command whose output goes to the terminal; raises Refused unless it ends with code."""
    print("+", *command, flush=True)
    ended = subprocess.run(command, check=False).returncode
    if ended != code:
        raise Refused(f"{' '.join(command)} ended with {ended}, not {code}")


def output(*command: str) -> str:
    """What a command prints; raises Refused."""
    print("+", *command, flush=True)
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise Refused(f"{' '.join(command)} ended with {done.returncode}: {done.stdout}")
    return done.stdout.strip()


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print a step's name, and its seconds when it has ended well."""
    print(f"== {name}", flush=True)
    start = time.monotonic()
    yield
    print(f"== {name}: {time.monotonic() - start:.0f} s", flush=True)


def release_of(recipe: str) -> str:
    """Debian's release in the recipe's first FROM.

    >>> release_of("FROM debian:bookworm-20260824-slim@sha256:00 AS base")
    'bookworm'
    """
    found = re.search(r"^FROM debian:([a-z]+)-", recipe, re.MULTILINE)
    if found is None:
        raise Refused(f"{RECIPE}: no FROM debian:RELEASE-")
    return found[1]


def recorded(one_line: str) -> str:
    """Sources of one line each as the image's file has them: a URI that a comment replaces.

    >>> print(recorded("deb http://mirror/debian bookworm main"), end="")
    Types: deb
    # http://mirror/debian
    URIs: http://replaced.invalid
    Suites: bookworm
    Components: main
    Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
    <BLANKLINE>
    """
    made = ""
    for uri, suite in re.findall(r"^deb (?:\[.*?\] )?(\S+) (\S+)", one_line, re.MULTILINE):
        made += f"Types: deb\n# {uri}\nURIs: http://replaced.invalid\nSuites: {suite}\n"
        made += "Components: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n"
    return made


def make_base(release: str, root: Path) -> None:
    """The release's essential packages and apt in ``root``, its sources as the image has them."""
    run("mmdebstrap", "--quiet", "--variant=minbase", release, str(root))
    lists = [root / "etc/apt/sources.list", *(root / "etc/apt/sources.list.d").glob("*.list")]
    text = "".join(file.read_text() for file in lists if file.is_file())
    for file in lists:
        file.unlink(missing_ok=True)
    (root / "etc/apt/sources.list.d/debian.sources").write_text(recorded(text))
    (root / "etc/resolv.conf").unlink(missing_ok=True)  # this machine's


class Buildah:
    """Buildah with a storage of its own, by chroot and plain folders: neither needs cgroups."""

    def __init__(self, folder: Path) -> None:
        places = ("--root", str(folder / "storage"), "--runroot", str(folder / "run"))
        self.command = ("buildah", *places, "--storage-driver", "vfs")

    def import_base(self, root: Path) -> None:
        """Make an image of a folder."""
        made = output(*self.command, "from", "scratch")
        run(*self.command, "copy", "--quiet", made, str(root), "/")
        run(*self.command, "commit", "--quiet", "--rm", made, BASE)

    def build(self, lock: str) -> None:
        """Build the recipe on the own base; certificates that this machine names go along."""
        trusted = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
        mounted = ("-v", f"{trusted}:{CA}:ro", "--build-arg", f"PIP_CERT={CA}") if trusted else ()
        options = ("--isolation", "chroot", "--from", BASE, "--build-arg", f"LOCK={lock}")
        run(*self.command, "bud", *options, *mounted, "-f", str(RECIPE), "-t", IMAGE, str(ROOT))

    def inside(self, container: str, *command: str, user: str = "", code: int = 0) -> None:
        """Run a command in the image's folder, as its user or another."""
        options = ("--isolation", "chroot", *(("--user", user) if user else ()))
        run(*self.command, "run", *options, container, "--", *command, code=code)


def prove(folder: Path, lock: str) -> None:
    """All steps, and what they show."""
    release = release_of(RECIPE.read_text())
    buildah = Buildah(folder)
    with step(f"base of {release}"):
        make_base(release, folder / "base")
        buildah.import_base(folder / "base")
    with step(f"image, lock {lock}"):
        buildah.build(lock)
    container = output(*buildah.command, "from", IMAGE)
    with step("doctor"):
        buildah.inside(container, "sh", "-c", HELD)
        buildah.inside(container, "resparse", "doctor")
    with step("table"):
        buildah.inside(container, "resparse", *TABLE)
    with step("doctor of a broken image"):
        for broken in BROKEN:
            buildah.inside(container, "sh", "-c", broken, user="root")
            buildah.inside(container, "resparse", "doctor", code=4)
    print(PROVEN.format(release=release, lock=lock))


def main() -> int:
    """0; 1 with the step that was refused; 4 where the tools are missing."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--lock", default="default", choices=("default", "v100"))
    asked.add_argument("--keep", metavar="DIR", type=Path, help="work there and keep it all")
    given = asked.parse_args()
    lacking = [tool for tool in DEBIAN if shutil.which(tool) is None]
    if lacking or os.geteuid() != 0:
        print(f"needs root and Debian's packages: apt-get install -y {' '.join(DEBIAN)}")
        return 4
    folder = given.keep or Path(tempfile.mkdtemp(prefix="resparse-container-", dir="/var/tmp"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        prove(folder, given.lock)
    except Refused as refused:
        print(f"refused: {refused}", file=sys.stderr)
        return 1
    finally:
        if given.keep is None:
            shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
