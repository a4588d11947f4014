"""The program of `nox -s container`, with tools that only say what they were asked."""

import doctest
import importlib.util
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MMDEBSTRAP = """
for root; do :; done
mkdir -p "$root/etc/apt/sources.list.d"
echo 'deb http://mirror/debian bookworm main' > "$root/etc/apt/sources.list"
echo nameserver > "$root/etc/resolv.conf"
"""
BUILDAH = r"""
echo "$*" | sed 's/.*--storage-driver vfs //' | tr '\n' ' ' >> "$LOG"; echo >> "$LOG"
case "$*" in *"$REFUSES"*) exit 7;; esac
case "$*" in *"from "*) echo made;; esac
case "$*" in
*"libturbojpeg.so"*|*"sed -i"*) touch "$LOG.broken";;
*"resparse doctor"*) ! rm "$LOG.broken" 2>/dev/null || exit 4;; esac
"""


@pytest.fixture
def prove():
    """The program as a module."""
    spec = importlib.util.spec_from_file_location("prove", ROOT / "containers" / "prove.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def session(prove, tmp_path, monkeypatch):
    """A function that runs it with fake tools, buildah refusing what is said: code, log, folder."""
    for name, text in (("mmdebstrap", MMDEBSTRAP), ("buildah", BUILDAH)):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    monkeypatch.setenv("SSL_CERT_FILE", "/certificates")
    monkeypatch.delenv("PIP_CERT", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    def run(refuses="nothing of it", *arguments):
        monkeypatch.setenv("REFUSES", refuses)
        monkeypatch.setattr("sys.argv", ["prove", "--keep", str(tmp_path / "kept"), *arguments])
        return prove.main(), (tmp_path / "log").read_text().splitlines(), tmp_path / "kept"

    return run


def test_its_examples(prove):
    found = doctest.testmod(prove)
    assert (found.failed, found.attempted) == (0, 2)


def test_all_steps_in_order(session, capfd):
    code, log, kept = session("nothing of it", "--lock", "v100")
    said = capfd.readouterr().out
    assert code == 0, said
    build = next(line for line in log if line.startswith("bud"))
    assert "--isolation chroot --from localhost/resparse-base:own" in build
    assert "--build-arg LOCK=v100 -v /certificates:" in build
    inside = [line.split("-- ")[1].strip() for line in log if line.startswith("run")]
    assert inside[1:3] == [
        "resparse doctor", "resparse reproduce itop/table2 --level smoke --seeds 0",
    ]  # fmt: skip
    assert inside.count("resparse doctor") == 3
    assert "proven:" in said
    assert "the lock v100" in said
    assert "not proven: the base by its digest" in said
    sources = (kept / "base/etc/apt/sources.list.d/debian.sources").read_text()
    assert "\n# http://mirror/debian\nURIs: http://replaced.invalid\n" in sources
    assert not (kept / "base/etc/apt/sources.list").exists()
    assert not (kept / "base/etc/resolv.conf").exists()


@pytest.mark.parametrize(
    ("refuses", "step"),
    [("commit", "commit"), ("bud ", "bud"), ("reproduce", "itop/table2"), ("doctor", "doctor")],
)
def test_what_is_refused_is_said_exactly(refuses, step, session, capfd):
    code, log, _ = session(refuses)
    captured = capfd.readouterr()
    assert code == 1
    assert step in captured.err.splitlines()[-1]
    assert "ended with 7, not 0" in captured.err
    assert "proven:" not in captured.out
    assert refuses.strip() in log[-1]


def test_a_doctor_that_does_not_see_what_is_broken_ends_it(session, capfd, monkeypatch, tmp_path):
    text = (tmp_path / "buildah").read_text()
    (tmp_path / "buildah").write_text(text.replace("exit 4", "exit 0"))
    assert session()[0] == 1
    assert "ended with 0, not 4" in capfd.readouterr().err


def test_without_the_tools_it_says_how_to_get_them(prove, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["prove"])
    monkeypatch.setattr(prove.shutil, "which", lambda tool: None)
    assert prove.main() == 4
    assert "apt-get install -y buildah mmdebstrap" in capsys.readouterr().out
