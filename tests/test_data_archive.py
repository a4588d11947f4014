"""Archives that are none, not whole, not the published ones, or lead outside; downloads."""

import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from small_data import good, tar, write_files
from torchvision import datasets

from resparse.data import cifar, tiny_imagenet
from resparse.data.archive import Archive, Tree, check, read_tar
from resparse.data.download import fetch
from resparse.errors import Corrupt

__all__ = ["good"]  # a fixture for this file as well
HTML = b"<!DOCTYPE html>\n<html><body>Please log in</body></html>"


def test_the_published_archive_is_what_it_should_be(good):
    path, archive = good
    check(archive, path)
    assert fetch(archive, path.parent) == path
    assert read_tar(path) == {"test_batch": b"images" * 500}


@pytest.mark.parametrize(
    ("spec", "known"),
    [
        (cifar.CIFAR10, Archive(
            "cifar-10-python.tar.gz", 170_498_071,
            "sha256:6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
            "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz")),
        (cifar.CIFAR100, Archive(
            "cifar-100-python.tar.gz", 169_001_437,
            "sha256:85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
            "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz")),
        (tiny_imagenet.TINY_IMAGENET, Archive(
            "tiny-imagenet-200.zip", 248_100_043,
            "md5:90528d7ca1a48142e341f4ef8d21d0de",
            "http://cs231n.stanford.edu/tiny-imagenet-200.zip")),
    ],
    ids=["cifar10", "cifar100", "tiny_imagenet"],
)  # fmt: skip
def test_what_is_known_of_the_published_archives(spec, known):
    assert spec.open.__self__.archive == known


@pytest.mark.parametrize(
    ("spec", "published"),
    [(cifar.CIFAR10, datasets.CIFAR10), (cifar.CIFAR100, datasets.CIFAR100)],
    ids=["cifar10", "cifar100"],
)
def test_torchvision_knows_the_same_archives_and_members(spec, published):
    """Its digests are md5, which say nothing of ours; all else can be compared."""
    layout = spec.open.__self__
    assert (layout.archive.file, layout.archive.url) == (published.filename, published.url)
    assert list(layout.members["train"]) == [name for name, _ in published.train_list]
    assert list(layout.members["test"]) == [name for name, _ in published.test_list]
    assert (layout.meta, layout.label_names) == (published.meta["filename"], published.meta["key"])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: HTML, "is an HTML page saved as an archive"),
        (lambda data: b"not an archive", "is not a gzip archive"),
        (lambda data: b"", "is an interrupted download of 0 bytes"),
        (lambda data: data[: len(data) // 2], r"is an interrupted download of \d+ bytes"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "has the wrong checksum sha256:"),
        (lambda data: data + b"more", "has the wrong checksum sha256:"),
    ],
    ids=["html", "other", "empty", "partial", "flipped", "longer"],
)
def test_a_file_that_is_not_the_archive_is_named(good, damage, said):
    path, archive = good
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(Corrupt) as caught:
        fetch(archive, path.parent)
    pattern = rf"^{path} {said}.*; valid: {archive.size_bytes:,} bytes, {archive.digest}; delete it"
    caught.match(pattern)
    assert "\n" not in str(caught.value)


def test_a_zip_is_called_one(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"not an archive")
    with pytest.raises(Corrupt, match=rf"^{path} is not a zip archive; valid: 9 bytes, md5:0; del"):
        check(Archive(path.name, 9, "md5:0", "http://none"), path)
    with zipfile.ZipFile(path, "w"):
        pass  # nothing in it
    with pytest.raises(Corrupt, match=rf"^{path} has no wnids.txt; valid: the dataset's original"):
        Tree(path).text("wnids.txt")


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("name", ["../evil", "x/../../evil", "/etc/evil"])
def test_a_member_that_leads_outside_is_named_and_nothing_is_written(tmp_path, name):
    path = tar(tmp_path / "a.tar.gz", {"x/ok": b"1", name: b"2"})
    with pytest.raises(Corrupt, match=rf"a.tar.gz: member '{name}' leads out of the archive's"):
        read_tar(path)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        out.writestr(name, b"2")
    with pytest.raises(Corrupt, match=rf"a.zip: member '{name}' leads out of the archive's"):
        Tree(tmp_path / "a.zip")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar.gz", "a.zip"]
    assert not Path("/etc/evil").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_link_or_a_pipe_in_a_tar_is_named(tmp_path, kind):
    path = tar(tmp_path / "a.tar.gz", {link("x/test_batch", "/etc/passwd", kind): b""})
    with pytest.raises(Corrupt, match=r"member 'x/test_batch' is a link or a device; valid: files"):
        read_tar(path)


def test_a_link_in_a_zip_is_named(tmp_path):
    info = zipfile.ZipInfo("a/train")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        out.writestr(info, "/etc")
    with pytest.raises(Corrupt, match=r"member 'a/train' is a link; valid: files and folders"):
        Tree(tmp_path / "a.zip")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_with_a_member_twice_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        out.writestr("a/train/x.JPEG", b"1")
        out.writestr("a/train/x.JPEG", b"2")
    with pytest.raises(Corrupt, match=r"member 'train/x.JPEG' is there 2 times; valid: once"):
        Tree(tmp_path / "a.zip")


def test_a_tar_that_ends_early_cannot_be_read(tmp_path, good):
    path = good[0]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(Corrupt, match=r"cifar-10-python.tar.gz cannot be read \(.*\): delete it"):
        read_tar(path)


def test_a_zip_with_a_flipped_bit_names_the_member(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("a/x.JPEG", b"hello there")
    path.write_bytes(path.read_bytes().replace(b"hello", b"hellu"))
    with pytest.raises(Corrupt, match=r"a.zip: member 'x.JPEG' is damaged"):
        Tree(path).read("x.JPEG")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(Corrupt, match=r"a.zip cannot be read \(.*\): delete it and get it again"):
        Tree(path)


def test_a_zip_whose_packed_bytes_are_damaged_names_the_member(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("a/x.JPEG", bytes(range(256)) * 20)
    data = bytearray(path.read_bytes())
    data[38] ^= 0xFF  # the first packed byte: 30 of the header, 8 of the name
    path.write_bytes(data)
    with pytest.raises(Corrupt, match=r"a.zip: member 'x.JPEG' is damaged \(Error -3 while deco"):
        Tree(path).read("x.JPEG")
    data[38] ^= 0xFF
    data[6] |= 1  # said to be encrypted, here and in the directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(Corrupt, match=r"member 'x.JPEG' is damaged \(.* is encrypted"):
        Tree(path).read("x.JPEG")


def test_a_tar_whose_packed_bytes_are_damaged_cannot_be_read(good):
    data = bytearray(good[0].read_bytes())
    data[30:60] = b"\xff" * 30
    good[0].write_bytes(data)
    with pytest.raises(Corrupt, match=r"cifar-10-python.tar.gz cannot be read \(.*\): delete it"):
        read_tar(good[0])


@pytest.mark.parametrize("name", ["b/x.JPEG", "x.JPEG", ""])
def test_a_member_outside_the_zips_own_folder_is_named(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        out.writestr("a/x.JPEG", b"1")
        out.writestr(zipfile.ZipInfo(name), b"2")
    with pytest.raises(Corrupt, match=rf"a.zip: member '{name}' is not in its folder a/; delete t"):
        Tree(tmp_path / "a.zip")


@pytest.mark.parametrize("zipped", [False, True])
def test_a_text_that_is_none_is_named(tmp_path, zipped):
    path = tmp_path / "a.zip"
    write_files(tmp_path / "a", {"wnids.txt": b"n\xff\xfe"})
    with zipfile.ZipFile(path, "w") as out:
        out.write(tmp_path / "a" / "wnids.txt", "a/wnids.txt")
    tree = Tree(path if zipped else tmp_path / "a")
    with pytest.raises(Corrupt, match=rf"{tree.path}: wnids.txt is no text \(.*\); valid: UTF-8"):
        tree.text("wnids.txt")


def test_a_file_that_goes_while_the_folder_is_read_is_named(tmp_path):
    write_files(tmp_path, {"train/x.JPEG": b"x"})
    tree = Tree(tmp_path)
    (tmp_path / "train" / "x.JPEG").unlink()
    with pytest.raises(Corrupt, match=r"train/x.JPEG cannot be read: No such file"):
        tree.read("train/x.JPEG")


@pytest.mark.parametrize("name", [b"train/\xff.JPEG", b"train/a\nb.JPEG", b"tr\xffain/b.JPEG"])
def test_a_name_that_cannot_be_printed_is_named(tmp_path, name):
    write_files(tmp_path, {os.fsdecode(name): b"x"})
    with pytest.raises(Corrupt, match=r"(xff|\\n).*has no printable name; valid: the files and f"):
        Tree(tmp_path)


def test_a_link_to_a_folder_is_named_and_one_to_a_file_is_read(tmp_path):
    write_files(tmp_path / "elsewhere", {"x.JPEG": b"x"})
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "y.JPEG").symlink_to(tmp_path / "elsewhere" / "x.JPEG")
    assert Tree(tmp_path / "tree").read("y.JPEG") == b"x"
    (tmp_path / "tree" / "train").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(
        Corrupt, match=r"tree/train' is a link to a folder; valid: the files and fo"
    ):
        Tree(tmp_path / "tree")


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_a_pipe_or_a_link_to_nothing_is_named(tmp_path, make):
    make(tmp_path / "x.JPEG")
    with pytest.raises(Corrupt, match=r"x.JPEG' is neither a file nor a folder; valid: the files"):
        Tree(tmp_path)


def test_the_real_tiny_imagenet_is_known_by_its_md5(tmp_path):
    path = tmp_path / tiny_imagenet.ZIP.file
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("tiny-imagenet-200/wnids.txt", "n1")
    with pytest.raises(Corrupt, match=r"interrupted download of \d+ bytes; valid: 248,100,043"):
        tiny_imagenet.TINY_IMAGENET.open(tmp_path)
