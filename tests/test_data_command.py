"""`resparse data`: what it prints, its exit codes, and where it looks."""

import json

import pytest
from small_data import cifar_spec

from resparse.__main__ import main
from resparse.data import prepare
from resparse.data.tiny_imagenet import TINY_IMAGENET


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.delenv("RESPARSE_PREPARED", raising=False)
    monkeypatch.delenv("RESPARSE_DATA", raising=False)
    (tmp_path / "root").mkdir()
    spec = cifar_spec(tmp_path / "root")
    monkeypatch.setattr(prepare, "specs", lambda: {"cifar10": spec, "tiny_imagenet": TINY_IMAGENET})
    return tmp_path / "root"


def run(capsys, *arguments):
    """Exit code, stdout, stderr."""
    code = main(["data", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_prepare_then_again_then_verify(root, tmp_path, capsys):
    place = ("--data-root", root, "--prepared", tmp_path / "p")
    code, out, _ = run(capsys, "prepare", "cifar10", *place)
    assert code == 0
    assert out.startswith("cifar10: prepared in ")
    assert "train: 12 images, 4 in each of 3 classes\n" in out
    assert "the same image twice: 0\n" in out
    assert (tmp_path / "p" / "cifar10" / "manifest.json").is_file()
    assert not (root / "prepared").exists()
    assert "cifar10: already prepared and intact in" in run(capsys, "prepare", "cifar10", *place)[1]
    assert "cifar10: intact in " in run(capsys, "verify", "cifar10", *place)[1]


def test_json_and_the_default_place(root, capsys):
    code, out, _ = run(capsys, "prepare", "cifar10", "--data-root", root, "--json")
    report = json.loads(out)
    assert code == 0
    assert (report["did"], report["folder"]) == ("prepared", str(root / "prepared" / "cifar10"))
    assert report["files"].keys() == {"train.safetensors", "test.safetensors"}
    assert "is not prepared" in report["because"]


def test_the_variable_says_where(root, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("RESPARSE_DATA", str(root))
    monkeypatch.setenv("RESPARSE_PREPARED", str(tmp_path / "v"))
    assert run(capsys, "prepare", "cifar10")[0] == 0
    assert (tmp_path / "v" / "cifar10" / "manifest.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["prepare", "mnist"], 5,
         "'mnist'; valid: cifar10, cifar100, cifar10_jpeg75, tiny_imagenet, imagenet\n"),
        (["clean", "cifar10"], 5, "'clean'"),
        (["prepare", "cifar10"], 4, "no data root: give --data-root DIR or set RESPARSE_DATA"),
        (["verify", "imagenet"], 4, "no data root: give --data-root DIR or set RESPARSE_DATA"),
        (["verify", "cifar10", "--prepared", "/proc/none"], 4, "run resparse data prepare cifar10"),
        (["verify", "cifar10", "--workers", "2"], 5,
         "--workers in data verify cifar10; valid: for imagenet only"),
        (["prepare", "cifar10", "--accept-duplicates"], 5,
         "--accept-duplicates in data prepare cifar10; valid: for imagenet, and to prepare tiny"),
        (["verify", "tiny_imagenet", "--accept-duplicates"], 5, "; valid: for imagenet, and to"),
        (["verify", "cifar10", "--data-root", "/nowhere"], 5, "data root '/nowhere' is not a fold"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_sentence(root, capsys, arguments, code, said):
    found = run(capsys, *arguments)
    assert found[:2] == (code, "")
    assert said in found[2]
    assert found[2].count("\n") == 1


def test_a_changed_file_is_exit_code_2(root, capsys):
    place = ("--data-root", root)
    assert run(capsys, "prepare", "cifar10", *place)[0] == 0
    path = root / "prepared" / "cifar10" / "train.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    code, out, err = run(capsys, "verify", "cifar10", *place)
    assert (code, out) == (2, "")
    assert err.startswith(f"resparse: {path} was changed after it was prepared: sha256 ")


def test_a_wrong_archive_is_exit_code_2_and_where_to_put_another_is_said(root, capsys):
    path = root / "cifar-10-python.tar.gz"
    path.write_bytes(b"<!DOCTYPE html>")
    code, _, err = run(capsys, "prepare", "cifar10", "--data-root", root)
    assert code == 2
    assert f"{path} is an HTML page saved as an archive" in err
    path.unlink()
    code, _, err = run(capsys, "prepare", "cifar10", "--data-root", root)
    assert code == 4
    assert f"refused): put {path.name} from http" in err
    assert err.count("\n") == 1
