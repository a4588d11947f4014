"""What a record says of where it was made: the commit, the lock, and no secret."""

import shutil
import sys
from pathlib import Path

import checkout
import pytest
from test_resolve import written

from resparse import locks, provenance
from resparse.errors import UsageError
from resparse.files import file_sha256
from resparse.frozen.freeze import clean_commit
from resparse.provenance import redacted

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A git repository of two committed files, of which one is a report."""
    folder = tmp_path / "repository"
    written(folder / "methods" / "old.py", "x = 1\n")
    written(folder / "reports" / "itop" / "table2.md", "ours\n")
    checkout.commit(folder)
    monkeypatch.setattr(provenance, "ROOT", folder)
    return folder


def test_a_report_is_no_uncommitted_change(repository):
    assert provenance.provenance()["git_dirty"] is False
    written(repository / "reports" / "itop" / "table2.md", "changed\n")
    written(repository / "reports" / "compare" / "mine.csv", "new\n")
    written(repository / "reports" / "new.md", "new\n")
    checkout.git(repository, "add", "reports/new.md")
    assert provenance.uncommitted() == []
    assert provenance.provenance()["git_dirty"] is False
    assert clean_commit() == checkout.git(repository, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("methods/new.py", "?? methods/new.py"),
        ("methods/old.py", "M methods/old.py"),
        ("reports.py", "?? reports.py"),
        ("methods/reports/new.py", "?? methods/reports/"),
    ],
)
def test_any_other_file_is_an_uncommitted_change(repository, path, said):
    checkout.git(repository, "config", "status.showUntrackedFiles", "no")
    written(repository / "reports" / "new.md", "new\n")
    written(repository / path, "x = 2\n")
    assert provenance.uncommitted() == [said]
    assert provenance.provenance()["git_dirty"] is True
    with pytest.raises(UsageError, match="uncommitted changes"):
        clean_commit()


def test_what_was_a_report_and_lies_elsewhere_now_is_an_uncommitted_change(repository):
    checkout.git(repository, "mv", "reports/itop/table2.md", "methods/new.py")
    assert provenance.uncommitted() == ["A  methods/new.py"]


@pytest.mark.parametrize(
    ("word", "kept"),
    [
        ("export=TOKEN=hunter2,A=hunter2", "export=[redacted]"),
        ("--export=A=hunter2", "--export=[redacted]"),
        ("comment=hunter2 is it", "comment=[redacted]"),
        ("--hf-token=hunter2", "--hf-token=[redacted]"),
        ("WANDB_API_KEY=hunter2\nhunter2", "WANDB_API_KEY=[redacted]"),
        ("my.password=hunter2", "my.password=[redacted]"),
        ("AWS_SECRET_ACCESS_KEY=hunter2", "AWS_SECRET_ACCESS_KEY=[redacted]"),
        ("https://me:hunter2@host/x", "https://[redacted]@host/x"),
        ("data=s3://hunter2@bucket", "data=s3://[redacted]@bucket"),
    ],
)
def test_a_secret_is_not_kept(word, kept, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["resparse", "run", "--sbatch", word, "--seeds", "3"])
    said = provenance.provenance()["command"]
    assert "hunter2" not in said
    assert said.startswith("resparse run --sbatch ")
    assert kept in said
    assert said.endswith(" --seeds 3")


@pytest.mark.parametrize("option", ["--api-key", "--API_KEY", "--apikey", "--hub-token"])
def test_the_word_after_an_option_that_asks_for_one_is_hidden(option):
    words = ["resparse", "run", option, "hunter2", "rigl"]
    assert redacted(words) == f"resparse run {option} '[redacted]' rigl"


@pytest.mark.parametrize(
    "words",
    [
        ["resparse", "run", "rigl", "--field", "interval=100", "--sbatch", "account=mine"],
        ["resparse", "reproduce", "itop/table2", "--level", "smoke", "--seeds", "0"],
        ["resparse", "compare", "exported.py", "--out", "tokens/comments"],
    ],
)
def test_nothing_else_is_hidden(words):
    assert redacted(words) == " ".join(words)


def test_the_lock_is_that_of_the_environment(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert provenance.provenance()["lock_sha256"] == "none"  # no stamp: of no lock that we know
    for name in locks.NAMES:
        (tmp_path / "resparse.stamp").write_text(f"{locks.lock_hash(tmp_path, name)} rest\n")
        lock = tmp_path / "requirements" / f"{name}.lock"
        assert provenance.provenance()["lock_sha256"] == file_sha256(lock)
    (tmp_path / "requirements" / "build.lock").unlink()
    assert provenance.provenance()["lock_sha256"] == "none"


def test_in_the_image_the_commit_is_the_images(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(provenance, "IMAGE", tmp_path / "image.toml")
    assert provenance.provenance()["git_sha"] == "unknown"
    provenance.IMAGE.write_text('lock = "default"\nrevision = "abc"\n')
    assert provenance.provenance()["git_sha"] == "abc"
