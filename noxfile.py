"""Sessions: lint and tests (a bare ``nox``), one per file under benchmarks/, locks, freezing."""

import hashlib
import os
import shutil
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent
BUILD = "requirements/build.lock"
LOCK = "ffcv" if os.environ.get("RESPARSE_LOADER") == "ffcv" else "default"  # of all sessions
PAPERS = {"itop": "", "rigl_repro": "rigl_", "lottery_sanity": "lottery_"}  # folder: prefix
MEANINGS = {
    0: "fine",
    1: "a verdict failed",
    2: "a run failed or did not verify",
    3: "inconclusive under --strict",
    4: "something needed is missing",
    5: "usage",
    75: "stopped and to be requeued: the same command continues",
    130: "interrupted: the same command continues",
}
COMPILE = "pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url"

nox.options.sessions, nox.options.default_venv_backend = ["lint", "tests"], "none"  # environment()


def lock_hash(name: str) -> str:
    """12 hex digits over the lock ``name`` and the build lock; names its environment."""
    files = (ROOT / f"requirements/{name}.lock", ROOT / BUILD)
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def find_uv(session: nox.Session) -> str:
    """The uv installed beside nox, else the one on PATH."""
    found, uv = nox.virtualenv.find_uv()[:2]
    return uv if found else session.error("uv was not found: python3 -m pip install uv")


def environment(session: nox.Session, lock: str = LOCK) -> str:
    """Return the Python of the lock's environment, shared by all sessions, complete and active.

    Its path has this checkout too, else a clone beside a notebook hides it; a stamp comes last.
    """
    folder = ROOT / ".nox" / f"{'env' if lock == 'default' else lock}-{lock_hash(lock)}"
    path = f"{folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    session.env.update(VIRTUAL_ENV=str(folder), PATH=path, PYTHONPATH=None)  # no other code first
    stamp, project = folder / "resparse.stamp", (ROOT / "pyproject.toml").read_bytes()
    complete = f"{lock_hash(lock)} {hashlib.sha256(project).hexdigest()[:12]} {ROOT} on its path\n"
    if not stamp.is_file() or stamp.read_text() != complete:
        if lock == "ffcv" and os.system("pkg-config --exists libturbojpeg opencv4"):
            session.error("apt-get install -y libturbojpeg0-dev libopencv-dev pkg-config: for FFCV")
        stamp.unlink(missing_ok=True)
        uv, pinned = find_uv(session), f"--require-hashes -b {BUILD} -r requirements/{lock}.lock"
        session.run_install(uv, "venv", "-q", "-p", "3.11", "--allow-existing", str(folder))
        session.run_install(uv, "pip", "install", *pinned.split())
        session.run_install(uv, "pip", "install", "--no-deps", "--no-build-isolation", "-e", ".")
        session.run_install(str(folder / "bin" / "python"), "requirements/bytecode.py")
        (folder / "lib/python3.11/site-packages/resparse-checkout.pth").write_text(f"{ROOT}\n")
        stamp.write_text(complete)
    return str(folder / "bin" / "python")


def explained(code: int) -> str:
    """One line that names resparse's exit code, which nox itself turns into 0 or 1."""
    return f"resparse exited with {code}: {MEANINGS.get(code, 'killed: repeat the command')}"


def resparse(session: nox.Session, *args: str) -> None:
    """Run a resparse command; the last line says what its exit code means."""
    python = environment(session, "ffcv" if "loaders" in args else LOCK)
    try:  # Ctrl-C: resparse gets a minute to end its processes; the last checkpoints stay
        if session.run(python, "-m", "resparse", *args, interrupt_timeout=60):
            session.log(explained(0))
    except nox.command.CommandFailed as failed:  # "... code N"
        session.error(explained(int(str(failed).split()[-1])))
    except KeyboardInterrupt:
        session.warn(explained(130))
        raise


def command(name: str, summary: str, *args: str, tags: tuple[str, ...] = ()) -> None:
    """Make the session of a resparse command (default: its name); what follows -- goes to it."""

    def run(session: nox.Session) -> None:
        resparse(session, *(args or (name,)), *session.posargs)

    run.__doc__ = summary
    nox.session(run, name=name, tags=tags)


for paper, prefix in PAPERS.items():
    for toml in sorted(ROOT.glob(f"benchmarks/{paper}/*.toml")):
        table, tag = f"{paper}/{toml.stem}", paper.split("_")[0]
        command(f"{prefix}{toml.stem}", f"Reproduce {table}.", "reproduce", table, tags=(tag,))
command("freeze", "Rerun from an empty store and rewrite baselines/frozen/.")
command("report", "The page of a paper from its committed records: -- itop.")
command("compare", "Hold a method against the panel: -- path/to/my_method.py.")
command("regression", "Retrain the panel's baselines and hold them against baselines/frozen/.")
command("data", "Prepare or verify a dataset: -- prepare cifar10, -- verify cifar10.")
command("bench", "Time: -- step, engines, masks, replicates, memory, or loaders (also FFCV).")


def program(name: str, summary: str, line: str, lock: str = LOCK) -> None:
    """Make a session of a Python program; what follows -- goes to it."""

    def run(session: nox.Session) -> None:
        whole = (environment(session, lock), *line.split(), *session.posargs)
        session.run(*whole, env={"OMP_NUM_THREADS": "1"})

    run.__doc__ = summary
    nox.session(run, name=name)


program("tests", "Pytest on two workers of one thread each.", "-m pytest -n 2 --dist worksteal")
program("faults", "Inject each fault that a training survives.", "-m pytest -n 2 -m fault")
program("slurm", "A table through a real Slurm.", "-m pytest -m slurm -s tests/test_slurm.py")
program("container", "The image by buildah, as root; REPRODUCING.md.", "containers/prove.py")
program("docs", "The site, in build/site.", "-m sphinx -qEW --keep-going -c docs . build/site")
program("v100", "Tests under the last torch with wheels for sm_70.", "-m pytest", lock="v100")
program("mutants", "Whether tests see the faults of tests/mutants*.toml.", "tests/mutants.py")


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff, and mypy --strict on the package with methods/ where the wheel puts it."""
    python = environment(session)
    for check in ("check .", "format --check ."):
        session.run(python, "-m", "ruff", *check.split())
    package = ROOT / ".nox" / "typed" / "resparse"  # mypy does not follow package-dir: links do
    shutil.rmtree(package.parent, ignore_errors=True)
    package.mkdir(parents=True)
    for entry in (*(ROOT / "resparse").iterdir(), ROOT / "methods"):
        (package / entry.name).symlink_to(entry)
    settings = "--strict --config-file=../../pyproject.toml --cache-dir=../mypy-cache"
    with session.chdir(package.parent):
        session.run(python, "-m", "mypy", *settings.split(), "-p", "resparse")


@nox.session
def lock(session: nox.Session) -> None:
    """Re-resolve the locks; pins stay unless ``-- --upgrade``. FFCV needs its Debian packages."""
    for name in ("build", "default", "v100", "ffcv"):  # build first: reading ffcv's metadata builds
        ffcv = f"--extra ffcv -b {BUILD} " if name == "ffcv" else ""
        project = f"{ffcv}--extra dev -c requirements/{name}.in pyproject.toml"
        sources = "requirements/build.in" if name == "build" else project
        line = f"{COMPILE} --no-header -q {sources} -o requirements/{name}.lock".split()
        session.run(find_uv(session), *line, *session.posargs)
