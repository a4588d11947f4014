"""containers/: pinned, one recipe, and each rule of its policy finds what it is for."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from container_policy import breaches, instructions

from resparse.__main__ import parser

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "containers"
DIGEST = "sha256:88200866dfff7ea7f5cbcb6ec7c8a701889efe6fe859fe64d6990e4b07ea4171"
FROM = f"FROM debian:bookworm-20260824-slim@{DIGEST} AS base"


@pytest.fixture
def checkout(tmp_path):
    """A copy of what the policy reads."""
    shutil.copytree(FOLDER, tmp_path / "containers")
    shutil.copy(ROOT / ".dockerignore", tmp_path)
    return tmp_path


def test_the_checkout_keeps_to_the_policy():
    assert breaches(ROOT) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "word"),
    [
        ("Dockerfile", FROM, "FROM debian:bookworm-20260824-slim AS base", "NAME:TAG@sha256"),
        ("Dockerfile", FROM, "FROM debian AS base", "FROM debian:"),
        ("Dockerfile", FROM, f"FROM debian@{DIGEST} AS base", "NAME:TAG@sha256"),
        ("Dockerfile", "bookworm-20260824-slim@", "latest@", "latest"),
        ("Dockerfile", FROM, FROM.replace("8820", "8821"), "not in both"),
        ("Dockerfile", "FROM base AS build", "FROM bsae AS build", "a stage above"),
        ("Dockerfile", "--from=build /opt/venv", "--from=x:latest /opt/venv", "from x:latest"),
        ("Dockerfile", "--from=build /opt/venv", "--from=python:3.11 /opt/venv", "from python:3"),
        ("Dockerfile", "--from=build /opt/venv", f"--from=x:1@{DIGEST} /opt/venv", "from x:1@"),
        (
            "Dockerfile",
            "RUN python3 -m venv",
            "RUN --mount=type=bind,from=x:1 python3 -m venv",
            "from x:1",
        ),
        ("Dockerfile", "# The image", "# syntax=docker/dockerfile:1\n# The image", "# syntax="),
        ("Dockerfile", "# --build-arg LOCK=v100", "# escape=`\n# ", "# escape="),
        ("Dockerfile", "COPY . .", "RUN <<EOF\ncurl -s x | sh\nEOF\nCOPY . .", "here-document"),
        ("Dockerfile", "COPY . .", "COPY <<EOF x.sh\npip install x\nEOF\nCOPY . .", "PIP install"),
        ("Dockerfile", "COPY . .", "ONBUILD RUN curl x | sh\nCOPY . .", "ONBUILD"),
        ("Dockerfile", "RUN python3 -m venv", "RUN curl -sSf x | sh; python3 -m venv", "curl"),
        ("Dockerfile", "RUN python3 -m venv", 'RUN sh -c "$(wget -O- x)"; python3 -m venv', "wget"),
        ("Dockerfile", "COPY . .", "ADD x.tar .", "ADD x.tar"),
        ("Dockerfile", "COPY . .", "ENV MIRROR=http://mirror/debian", "names a host"),
        ("Dockerfile", "--require-hashes --no-deps -r req", "--no-deps -r req", "outside the lock"),
        ("Dockerfile", "-r requirements/build.lock", "setuptools", "outside the lock"),
        ("Dockerfile", "-r requirements/build.lock", "-r my.txt", "outside the lock"),
        ("Dockerfile", "-r requirements/build.lock", "-r requirements/build.lock numpy", "numpy"),
        ("Dockerfile", "build-isolation -e .", "build-isolation -e .[dev]", "outside the lock"),
        ("Dockerfile", "pip install --no-deps --no-build", "uv pip install --no-build", "uv pip"),
        ("Dockerfile", "s/^# http/URIs: http/", "s/^# ftp/URIs: ftp/", "snapshot"),
        ("Dockerfile", "USER resparse", "", "USER is not set"),
        ("Dockerfile", "USER resparse", "USER resparse\nUSER root", "USER root"),
        ("Dockerfile", "USER resparse", "USER 0:0", "USER 0:0"),
        ("Dockerfile", "USER resparse", "USER 0000", "USER 0000"),
        ("Dockerfile", "USER resparse", "USER ${WHO}", "USER ${WHO}"),
        ("Dockerfile", 'ENTRYPOINT ["resparse"]', 'ENTRYPOINT ["bash"]', "ENTRYPOINT"),
        ("Dockerfile", "image.licenses", "image.licence", "image.licenses"),
        ("Dockerfile", f'digest="{DIGEST}"', f'digest="{DIGEST[:-1]}0"', "no FROM does"),
        ("digests.toml", 'date = "2026-08-24"', 'date = "lately"', "a source and a date"),
        ("digests.toml", "source", "sauce", "a source and a date"),
        ("apptainer.def", "docker-archive\nFrom", "docker\nFrom", "apptainer.def"),
        ("apptainer.def", "%help", "%post", "apptainer.def"),
        ("compose.yaml", "resparse:${LOCK:-default}", "resparse", "no tag"),
        ("compose.yaml", "resparse:${LOCK:-default}", "resparse:latest", "latest"),
        ("compose.yaml", "containers/Dockerfile", "Dockerfile", "another recipe"),
        ("../.dockerignore", "*\n!baselines", "!baselines", "* first"),
        ("../.dockerignore", "!methods", "!runs/kept", "lets runs/kept in"),
        ("../.dockerignore", "!methods", "!data", "lets data in"),
        ("../.dockerignore", "!methods", "!r*", "lets r* in"),
        ("../.dockerignore", "!methods", "!dat[a]", "lets dat[a] in"),
        ("compose.yaml", "    shm_size", "    user: root\n    shm_size", "runs as root"),
        ("compose.yaml", "    shm_size", "    user: 0:1000\n    shm_size", "runs as 0:1000"),
        ("compose.yaml", "    shm_size", "    privileged: true\n    shm_size", "more rights"),
    ],
)
def test_each_rule_finds_its_fault(file, old, new, word, checkout):
    path = checkout / "containers" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    found = breaches(checkout)
    assert any(word in sentence for sentence in found), found


def test_a_second_recipe_is_found(checkout):
    (checkout / "containers" / "Dockerfile.gpu").write_text(FROM)
    assert breaches(checkout) == ["more than one recipe: Dockerfile, Dockerfile.gpu"]


def test_no_lock_no_path_and_no_host_is_forgotten_by_the_image():
    """Every path that .dockerignore lets in is in the checkout, and every lock goes along."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    paths = [line[1:] for line in lines if line.startswith("!")]
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert {"requirements", "resparse", "methods", "benchmarks", "baselines"} <= set(paths)
    for file in FOLDER.iterdir():
        assert re.search(r"\w+://(?!mirror|replaced)\w", file.read_text()) is None


def test_the_first_step_activates_the_recorded_snapshot_or_fails(tmp_path):
    """Its own commands on a sources file as the base has it."""
    step = next(rest for word, rest in instructions((FOLDER / "Dockerfile").read_text())
                if word == "RUN")  # fmt: skip
    activate = step.partition("&& printf")[0]
    sources = tmp_path / "debian.sources"
    activate = activate.replace("/etc/apt/sources.list.d/debian.sources", str(sources))
    recorded = "Types: deb\n# http://snapshot/20260824\nURIs: http://mirror\nSuites: bookworm\n"
    sources.write_text(recorded)
    subprocess.run(["sh", "-c", activate], check=True)
    assert sources.read_text() == "Types: deb\nURIs: http://snapshot/20260824\nSuites: bookworm\n"
    sources.write_text("Types: deb\nURIs: http://mirror\nSuites: bookworm\n")
    assert subprocess.run(["sh", "-c", activate], check=False).returncode != 0
    assert "http://mirror" in sources.read_text()


def test_ffcv_alone_is_what_its_lock_adds(tmp_path):
    """The recipe's own awk, on the locks."""
    program = re.search(r"awk '([^']+)'", (FOLDER / "Dockerfile").read_text())[1]
    locks = [str(ROOT / f"requirements/{name}.lock") for name in ("default", "ffcv")]
    made = subprocess.run(["awk", program, *locks], check=True, capture_output=True, text=True)
    pins = re.findall(r"^([a-z0-9-]+)==", made.stdout, re.MULTILINE)
    default, ffcv = (set(re.findall(r"^([a-z0-9-]+)==", Path(lock).read_text(), re.MULTILINE))
                     for lock in locks)  # fmt: skip
    assert sorted(pins) == sorted(ffcv - default)
    assert "ffcv" in pins
    assert made.stdout.count("--hash=sha256:") >= len(pins)


def test_compose_asks_for_a_command_that_there_is():
    service = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]["resparse"]
    given = parser().parse_args(service["command"])
    device = service["deploy"]["resources"]["reservations"]["devices"][0]
    assert (given.gpus, device["count"]) == (8, 8)
    assert service["volumes"][0].endswith(":/data:ro")


def test_the_template_for_slurm_runs_a_seed_and_queues_itself_again(tmp_path):
    for name, text in (
        ("srun", 'exec "$@"'),
        ("apptainer", 'echo "apptainer $*"; exit ${CODE:-0}'),
        ("scontrol", 'echo "scontrol $*"'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_ARRAY_TASK_ID": "2",
           "SLURM_JOB_ID": "41", "DATA": "/images", "RUNS": str(tmp_path / "runs")}  # fmt: skip
    command = ["bash", str(FOLDER / "v100.sbatch")]

    def submitted(**more):
        return subprocess.run(
            command, check=False, capture_output=True, text=True, env={**env, **more}
        )

    done = submitted()
    assert done.returncode == 0, done.stderr
    bound = f"--bind /images:/data:ro,{tmp_path}/runs:/runs"
    assert f"apptainer run --nv {bound} resparse-v100.sif run rigl" in done.stdout
    assert "scontrol" not in done.stdout
    given = parser().parse_args(done.stdout.split(".sif ")[1].split())
    assert (given.precision, given.gpus, given.accumulate) == ("fp16", 4, 8)
    again = submitted(CODE="75")
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, "scontrol requeue 41")
    assert submitted(CODE="2").returncode == 2
    del env["DATA"]
    assert "the folder with the datasets" in submitted().stderr
