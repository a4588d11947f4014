"""The locks: every package pinned and hashed, nothing of a machine or an index in them."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
TORCH = {
    "default": ("2.13.0", "0.28.0"),
    "v100": ("2.10.0", "0.25.0"),
    "ffcv": ("2.13.0", "0.28.0"),
}


def packages(text: str) -> dict[str, list[str]]:
    """Name -> its pinned versions (several where markers choose); raises where one has no hash."""
    found: dict[str, list[str]] = {}
    for entry in text.replace("\\\n", " ").splitlines():
        if not entry.strip() or entry.lstrip().startswith("#"):
            continue
        match = re.match(r"([a-z0-9-]+)==([^ ;]+)( ; .+?)?( +--hash=sha256:[0-9a-f]{64})+$", entry)
        if match is None:
            raise ValueError(f"not one package, one version and its hashes: {entry[:80]}")
        found.setdefault(match[1], []).append(match[2])
    return found


def test_packages_reads_markers_and_refuses_what_is_not_pinned_and_hashed() -> None:
    hashed = " \\\n    --hash=sha256:" + "0" * 64
    text = (
        f"numpy==2.4 ; python_version < '3.12'{hashed}{hashed}\n    # via x\nnumpy==2.5{hashed}\n"
    )
    assert packages(text) == {"numpy": ["2.4", "2.5"]}
    for bad in ("numpy==2.4", f"numpy>=2.4{hashed}", f"x @ file:///x{hashed}", f"-e .{hashed}"):
        with pytest.raises(ValueError, match="one version"):
            packages(bad)


def test_every_environment_has_its_lock() -> None:
    assert {"build", *TORCH} == {lock.stem for lock in LOCKS}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_lock_is_hashed_and_names_no_index_and_no_path(lock: Path) -> None:
    text = lock.read_text()
    assert packages(text)
    assert re.findall(r"https?:|--(?:extra-)?index|--find-links|file:|@|(?:^|\s)/\S+", text) == []


@pytest.mark.parametrize(("name", "versions"), TORCH.items())
def test_torch_versions(name: str, versions: tuple[str, str]) -> None:
    pinned = packages((ROOT / f"requirements/{name}.lock").read_text())
    assert (pinned["torch"], pinned["torchvision"]) == ([versions[0]], [versions[1]])


def test_build_constraint_agrees_with_the_environment_that_builds_the_checkout() -> None:
    build = packages((ROOT / "requirements/build.lock").read_text())
    for name in TORCH:
        pinned = packages((ROOT / f"requirements/{name}.lock").read_text())
        assert pinned["setuptools"] == build["setuptools"]


@pytest.mark.parametrize("name", TORCH)
def test_what_pyproject_asks_for_is_locked(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + extras["dev"] + (extras["ffcv"] if name == "ffcv" else [])
    names = {re.split(r"[<>=~!; \[]", line)[0].lower().replace("_", "-") for line in wanted}
    assert names <= packages((ROOT / f"requirements/{name}.lock").read_text()).keys()
