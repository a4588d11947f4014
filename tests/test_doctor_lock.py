"""What `resparse doctor` says of the lock and of the environment made from it."""

import shutil
import sys
from pathlib import Path

import pytest

from resparse import doctor, locks
from resparse.errors import Corrupt

ROOT = Path(__file__).resolve().parents[1]
HASH = " \\\n    --hash=sha256:" + "0" * 64


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A copy of the locks whose environment is as the default lock says, with a stamp."""
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    wanted = locks.asked(tmp_path, "default", ffcv=False)
    monkeypatch.setattr(locks, "installed", lambda: wanted)
    (tmp_path / "resparse.stamp").write_text(f"{locks.lock_hash(tmp_path, 'default')} rest\n")
    return tmp_path


def test_an_environment_as_locked(checkout):
    found = doctor.lock()
    assert found.problem is None
    assert found.value.startswith("default.lock, 1")
    assert found.value.endswith("packages as locked")
    (checkout / "resparse.stamp").unlink()
    assert doctor.lock().value.endswith("made by neither nox nor the image")


def test_drifted_packages_are_named_with_both_versions(checkout, monkeypatch):
    here = locks.installed() | {"numpy": "2.0.0"}
    del here["rich"]
    monkeypatch.setattr(locks, "installed", lambda: here)
    found = doctor.lock()
    assert found.problem is not None
    assert "numpy 2.0.0, locked 2." in found.problem
    assert "rich not installed, locked" in found.problem
    assert "nox" in found.to_do


def test_a_lock_edited_by_hand_is_found_whatever_was_edited(checkout):
    lock, build = (checkout / f"requirements/{name}.lock" for name in ("default", "build"))
    for file, old, new, words in (
        (lock, "numpy==2", "numpy==3", ["made from another", "numpy 2.", "locked 3."]),
        (lock, "sha256:286e71c8", "sha256:286e71c9", ["made from another"]),
        (build, "setuptools==84", "setuptools==83", ["made from another"]),
        (lock, "rich==", "rich>=", ["'rich>=", "not one package"]),
    ):
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        found = doctor.lock()
        assert found.problem is not None, new
        for word in words:
            assert word in found.problem
        assert "git checkout requirements" in found.to_do
        file.write_text(text)
    assert doctor.lock().problem is None


@pytest.mark.parametrize("name", ["default", "v100", "ffcv", "build"])
def test_a_lock_that_is_gone_is_named(name, checkout):
    (checkout / f"requirements/{name}.lock").unlink()
    assert doctor.lock().value == "requirements/, edited by hand"
    assert f"requirements/{name}.lock is not there" in str(doctor.lock().problem)
    assert "git checkout requirements" in doctor.lock().to_do


def test_an_empty_stamp_is_of_no_lock(checkout):
    (checkout / "resparse.stamp").write_text("")
    assert "made from another" in str(doctor.lock().problem)


def test_the_v100_lock_is_known_by_its_torch_and_ffcv_by_what_it_adds(checkout, monkeypatch):
    own = locks.asked(checkout, "ffcv", ffcv=False).keys() - locks.installed().keys()
    assert "ffcv" in own
    both = locks.asked(checkout, "v100", ffcv=True)
    assert both.keys() - locks.asked(checkout, "v100", ffcv=False).keys() == own
    monkeypatch.setattr(locks, "installed", lambda: both)
    (checkout / "resparse.stamp").unlink()
    assert doctor.lock().value.startswith(f"v100.lock, {len(both)} packages as locked")
    del both["fastargs"]
    assert "fastargs not installed" in str(doctor.lock().problem)


def test_pins_choose_by_marker_and_refuse_what_is_not_locked():
    text = f"a==2 ; sys_platform == 'linux'{HASH}{HASH}\na==1 ; sys_platform == 'win32'{HASH}\n"
    assert locks.pins(text, "x.lock") == {"a": "2"}
    for bad in ("a==1", f"a>=1{HASH}", f"a @ file:///a{HASH}", f"-e .{HASH}"):
        with pytest.raises(Corrupt, match=r"x\.lock: .*not one package"):
            locks.pins(bad, "x.lock")


def test_the_stamp_is_noxfiles(checkout):
    sys.path.insert(0, str(ROOT))
    try:
        import noxfile
    finally:
        sys.path.remove(str(ROOT))
    for name in locks.NAMES:
        assert locks.lock_hash(ROOT, name) == noxfile.lock_hash(name)
        (checkout / "resparse.stamp").write_text(f"{noxfile.lock_hash(name)} more\n")
        assert locks.made_from(checkout, checkout) == name
