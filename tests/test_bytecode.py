"""requirements/bytecode.py: an environment's bytecode is linked from another or compiled."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def bytecode(tmp_path, monkeypatch):
    """The program, for the environment tmp_path/new, with packages of these tests' own."""
    spec = importlib.util.spec_from_file_location("bytecode", ROOT / "requirements/bytecode.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert {"torch", "numpy", "pandas"} < set(module.PACKAGES)
    for name in module.PACKAGES:
        assert importlib.util.find_spec(name).submodule_search_locations, name
    monkeypatch.setattr(module, "PACKAGES", ("one",))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "new"))
    monkeypatch.setattr(module.sysconfig, "get_path", lambda name: str(site(tmp_path, "new")))
    return module


def site(tmp_path, name):
    return tmp_path / name / "lib/python3.11/site-packages"


def package(folder, name, text="x = 1\n"):
    for part in ("", "tests"):
        (folder / name / part).mkdir(parents=True, exist_ok=True)
        (folder / name / part / "__init__.py").write_text(text)
    return folder / name / "__init__.py"


def compiled(source):
    return Path(importlib.util.cache_from_source(str(source)))


def test_what_is_named_is_compiled_without_its_tests(bytecode, tmp_path):
    new = site(tmp_path, "new")
    one, two = package(new, "one"), package(new, "two")
    assert bytecode.main() == 0
    assert compiled(one).is_file()
    assert not compiled(two).exists()
    assert not compiled(one.parent / "tests/__init__.py").exists()


def test_bytecode_of_the_same_file_is_linked_and_of_no_other(bytecode, tmp_path):
    old, new = site(tmp_path, "old"), site(tmp_path, "new")
    for name in ("one", "two", "three"):
        source = package(old, name)
        package(new, name)
        compiled(source).parent.mkdir()
        compiled(source).write_bytes(b"of old")
        other = compiled(source).with_suffix("").name + "-pytest-9.0.0.pyc"  # of a rewritten file
        (compiled(source).parent / other).write_bytes(b"of pytest")
    for name in ("one", "two"):  # as uv does it
        (new / name / "__init__.py").unlink()
        os.link(old / name / "__init__.py", new / name / "__init__.py")
    assert bytecode.main() == 0
    assert compiled(new / "two/__init__.py").samefile(compiled(old / "two/__init__.py"))
    assert not compiled(new / "three/__init__.py").exists()
    made = compiled(new / "one/__init__.py").read_bytes()
    assert made[:4] == importlib.util.MAGIC_NUMBER  # what is no bytecode is compiled again
    assert compiled(old / "one/__init__.py").read_bytes() == b"of old"


def test_what_does_not_compile_is_named(bytecode, tmp_path, capsys):
    package(site(tmp_path, "new"), "one", text="x =\n")
    assert bytecode.main() == 1
    assert "not compiled: one in " in capsys.readouterr().err
