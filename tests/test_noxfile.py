"""The noxfile: which sessions exist, what they say, and that it stays thin."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PREFIXES = {"itop": "", "rigl_repro": "rigl_", "lottery_sanity": "lottery_"}
TAGS = {"itop": "itop", "rigl_repro": "rigl", "lottery_sanity": "lottery"}
LIST = """
import json, sys
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
import noxfile
from nox import registry
print(json.dumps({
    "sessions": {name: func.tags for name, func in registry.get().items()},
    "default": noxfile.nox.options.sessions,
    "heavy": sorted({"torch", "numpy", "resparse", "methods"} & (set(sys.modules) - before)),
    "hash": noxfile.lock_hash("default"),
}))
"""


def load(folder: Path) -> dict:
    """What a fresh Python finds in ``folder``'s noxfile."""
    command = [sys.executable, "-c", LIST, str(folder)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small checkout with one benchmark of each paper."""
    for name in ("noxfile.py", "pyproject.toml", "requirements"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    for paper, name in zip(PREFIXES, ("table1", "figure3", "table_e1"), strict=True):
        (tmp_path / "benchmarks" / paper).mkdir(parents=True)
        (tmp_path / "benchmarks" / paper / f"{name}.toml").touch()
    return tmp_path


def executable(path: Path, text: str) -> Path:
    """A shell script at ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def run_nox(checkout: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Nox in ``checkout``, its output in one stream."""
    return subprocess.run(
        [sys.executable, "-m", "nox", "--no-color", *args],
        cwd=checkout,
        env={**os.environ, **env},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def fake_uv(checkout: Path) -> Path:
    """A uv that makes an environment whose Python prints its arguments; resparse exits with $CODE.

    It logs its commands; with $BROKEN set, the editable install fails.
    """
    python = 'echo "args $*"; echo "path ${PYTHONPATH-unset}"; [ "$1" != -m ] || exit ${CODE:-0}'
    return executable(
        checkout / "tools" / "uv",
        f"""
case "$*" in *version*) echo '{{"version": "0.9.0"}}'; exit 0;; esac
echo "$*" >> {checkout}/uv.log
for last; do :; done
case "$1" in venv) mkdir -p "$last/bin" "$last/lib/python3.11/site-packages"
  printf '#!/bin/sh\\n%s\\n' '{python}' > "$last/bin/python"; chmod +x "$last/bin/python";; esac
case "$*" in *"-e ."*) [ -z "$BROKEN" ] || exit 1;; esac
""",
    )


def test_every_benchmark_has_its_session_and_nothing_heavy_is_imported() -> None:
    found = load(ROOT)
    files = [f for paper in PREFIXES for f in ROOT.glob(f"benchmarks/{paper}/*.toml")]
    tables = {f"{PREFIXES[f.parent.name]}{f.stem}": [TAGS[f.parent.name]] for f in files}
    always = ("tests", "lint", "lock", "v100", "freeze", "compare", "bench", "regression", "data")
    always = (*always, "report", "mutants", "faults", "slurm", "container", "docs")
    assert found["sessions"] == {**tables, **{name: [] for name in always}}
    assert "table2" in tables
    assert found["default"] == ["lint", "tests"]
    assert found["heavy"] == []


def test_a_command_session_passes_what_follows_to_the_command_of_its_name(
    checkout: Path, fake_uv: Path
) -> None:
    arguments = ("-s", "regression", "freeze", "--", "--golden")
    done = run_nox(checkout, *arguments, UV=str(fake_uv))
    assert "args -m resparse regression --golden" in done.stdout
    assert "args -m resparse freeze --golden" in done.stdout
    listed = run_nox(checkout, "--list", UV=str(fake_uv)).stdout
    assert "* regression" not in listed  # a bare nox does not run it
    assert "- regression -> Retrain the panel" in listed


def test_names_and_tags_of_the_three_papers(checkout: Path) -> None:
    sessions = load(checkout)["sessions"]
    assert {name: tags for name, tags in sessions.items() if tags} == {
        "table1": ["itop"],
        "rigl_figure3": ["rigl"],
        "lottery_table_e1": ["lottery"],
    }


def test_environment_is_made_once_and_shared(checkout: Path, fake_uv: Path) -> None:
    env = {"UV": str(fake_uv), "PYTHONPATH": str(checkout / "elsewhere")}
    done = run_nox(checkout, "-s", "table1", "rigl_figure3", "--", "--seeds", "0,1", **env)
    assert done.returncode == 0, done.stdout
    assert "args -m resparse reproduce itop/table1 --seeds 0,1" in done.stdout
    assert "args -m resparse reproduce rigl_repro/figure3 --seeds 0,1" in done.stdout
    assert "path unset" in done.stdout
    assert "resparse exited with 0: fine" in done.stdout
    commands = (checkout / "uv.log").read_text().splitlines()
    folder = checkout / ".nox" / f"env-{load(checkout)['hash']}"
    assert commands == [
        f"venv -q -p 3.11 --allow-existing {folder}",
        "pip install --require-hashes -b requirements/build.lock -r requirements/default.lock",
        "pip install --no-deps --no-build-isolation -e .",
    ]
    on_path = folder / "lib/python3.11/site-packages/resparse-checkout.pth"
    assert on_path.read_text() == f"{checkout}\n"


def test_an_install_that_failed_is_repeated(checkout: Path, fake_uv: Path) -> None:
    broken = run_nox(checkout, "-s", "table1", UV=str(fake_uv), BROKEN="1")
    assert broken.returncode == 1
    assert "args" not in broken.stdout
    assert run_nox(checkout, "-s", "table1", UV=str(fake_uv)).returncode == 0
    assert len((checkout / "uv.log").read_text().splitlines()) == 6


def test_a_changed_lock_gets_its_own_environment(checkout: Path) -> None:
    before = load(checkout)["hash"]
    with (checkout / "requirements/build.lock").open("a") as file:
        file.write("# changed\n")
    assert load(checkout)["hash"] != before


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        (1, "a verdict failed"),
        (2, "a run failed or did not verify"),
        (3, "inconclusive under --strict"),
        (4, "something needed is missing"),
        (5, "usage"),
        (75, "stopped and to be requeued"),
        (130, "interrupted"),
        (137, "killed: repeat the command"),
    ],
)
def test_last_line_names_the_exit_code(
    checkout: Path, fake_uv: Path, code: int, meaning: str
) -> None:
    failed = run_nox(checkout, "-s", "table1", UV=str(fake_uv), CODE=str(code))
    assert failed.returncode == 1
    assert f"resparse exited with {code}: {meaning}" in failed.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "env"),
    [(("bench", "--", "loaders"), {}), (("table1",), {"RESPARSE_LOADER": "ffcv"})],
)
def test_ffcv_has_its_environment_and_names_its_packages(
    checkout: Path, fake_uv: Path, arguments: tuple[str, ...], env: dict[str, str]
) -> None:
    debian = executable(checkout / "bin" / "pkg-config", "exit 1")
    path = f"{debian.parent}{os.pathsep}{os.environ['PATH']}"
    lacking = run_nox(checkout, "-s", *arguments, UV=str(fake_uv), PATH=path, **env)
    assert lacking.returncode == 1
    assert "apt-get install -y libturbojpeg0-dev libopencv-dev pkg-config" in lacking.stdout
    assert not (checkout / "uv.log").exists()
    executable(debian, "exit 0")
    done = run_nox(checkout, "-s", *arguments, UV=str(fake_uv), PATH=path, **env)
    assert done.returncode == 0, done.stdout
    assert "-r requirements/ffcv.lock" in (checkout / "uv.log").read_text()


def test_noxfile_is_thin() -> None:
    assert len((ROOT / "noxfile.py").read_text().splitlines()) < 150
