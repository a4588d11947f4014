"""Archives that come from a server: whole, half, another, none, or from one that says nothing."""

import dataclasses
import http.server
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
from small_data import good
from torchvision.datasets import utils

from resparse.data.download import fetch
from resparse.errors import Corrupt, Missing

__all__ = ["good"]  # a fixture for this file as well
HTML = b"<!DOCTYPE html>\n<html><body>Please log in</body></html>"


@pytest.fixture
def server(good):
    """Serves the archive's bytes as ``answer(bytes) -> (status, length, bytes)`` says."""
    data = good[0].read_bytes()
    good[0].unlink()

    class Handler(http.server.BaseHTTPRequestHandler):
        answer = staticmethod(lambda data: (200, len(data), data))
        asked = 0

        def do_GET(self):
            status, length, body = self.answer(data)
            type(self).asked += 1
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
    yield Handler, f"http://127.0.0.1:{httpd.server_address[1]}/{good[0].name}"
    httpd.shutdown()
    httpd.server_close()


def served(good, server):
    return dataclasses.replace(good[1], url=server[1]), good[0]


def test_a_download_is_checked_and_kept(good, server):
    archive, path = served(good, server)
    assert fetch(archive, path.parent) == path
    asked = server[0].asked
    assert fetch(archive, path.parent) == path
    assert server[0].asked == asked > 0  # the second time nothing is asked
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_what_a_killed_download_left_is_overwritten(good, server):
    archive, path = served(good, server)
    left = path.parent / f".{path.name}.download" / path.name
    left.parent.mkdir()
    left.write_bytes(b"\x1f\x8bhalf")
    assert fetch(archive, path.parent).stat().st_size == archive.size_bytes
    assert not left.parent.exists()


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (lambda d: (200, len(d), d[:40]), Corrupt, "is an interrupted download of 40 bytes"),
        (lambda d: (200, len(d), d[:-1] + b"x"), Corrupt, "has the wrong checksum"),
        (lambda d: (200, len(HTML), HTML), Corrupt, "is an HTML page saved as an archive"),
        (lambda d: (404, 0, b""), Missing, r"cannot be downloaded \(Not Found\)"),
    ],
    ids=["partial", "other", "html", "404"],
)
def test_a_download_that_is_not_the_archive_leaves_nothing(good, server, answer, error, said):
    archive, path = served(good, server)
    server[0].answer = staticmethod(answer)
    by_hand = f"put {path.name} from {archive.url} into {path.parent}"
    with pytest.raises(error, match=f"{said}.*{by_hand}$"):
        fetch(archive, path.parent)
    assert list(path.parent.iterdir()) == []


def test_without_a_network_the_place_is_named(good):
    path, archive = good
    path.unlink()
    with pytest.raises(
        Missing, match=rf"refused\): put {path.name} from http.* into {path.parent}"
    ):
        fetch(archive, path.parent)
    assert list(path.parent.iterdir()) == []


def test_a_data_root_that_takes_no_download_is_named(good):
    with pytest.raises(Missing, match=r"cannot be written: .*: give --data-root DIR, or put cifar"):
        fetch(good[1], Path("/proc/nowhere"))


@pytest.fixture(
    params=[b"", b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n\x1f\x8b"],
    ids=["nothing", "two bytes"],
)
def silent(request):
    """A server that takes every connection, answers so much and then nothing more: its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        taken = []

        def take():
            while True:
                try:
                    taken.append(listening.accept()[0])
                    taken[-1].sendall(request.param)
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/x"
        listening.shutdown(socket.SHUT_RDWR)
        for connection in taken:
            connection.close()


def test_a_server_that_says_nothing_is_not_waited_for(good, silent):
    path, archive = good
    path.unlink()
    archive = dataclasses.replace(archive, url=silent)
    before, began = socket.getdefaulttimeout(), time.monotonic()
    by_hand = f"put {path.name} from {silent} into {path.parent}"
    with pytest.raises(Missing, match=rf"cannot be downloaded \(timed out\): {by_hand}$"):
        fetch(archive, path.parent, timeout_s=0.3)
    assert 0.2 < time.monotonic() - began < 10
    assert socket.getdefaulttimeout() == before
    assert list(path.parent.iterdir()) == []


def test_a_folder_in_the_archives_place_is_named_before_anything_is_downloaded(good, server):
    archive, path = served(good, server)
    path.mkdir()
    with pytest.raises(Corrupt, match=rf"^{path} is not a file; valid: {path.name} from ht.*mov"):
        fetch(archive, path.parent)
    assert server[0].asked == 0


def test_a_server_that_redirects_for_ever_is_named(good, server):
    archive, path = served(good, server)
    Handler = server[0]

    def redirect(handler):
        Handler.asked += 1
        handler.send_response(302)
        handler.send_header("Location", f"/{Handler.asked}")
        handler.end_headers()

    Handler.do_GET = redirect
    with pytest.raises(Missing, match=r"cannot be downloaded \(.*redirect.*\): put ") as caught:
        fetch(archive, path.parent)
    assert "\n" not in str(caught.value)


def test_what_torchvision_prints_goes_to_stderr(good, server, monkeypatch, capsys):
    """stdout is the command's own, JSON with --json; torchvision prints that it tries http."""
    archive, path = served(good, server)
    download = utils.download_url

    def talkative(*given):
        print("Trying https -> http instead.")
        download(*given)

    monkeypatch.setattr(utils, "download_url", talkative)
    fetch(archive, path.parent)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "http instead" in captured.err


def test_a_broken_connection_is_not_taken_for_a_full_disk(good, monkeypatch):
    def broken(*given):
        raise ssl.SSLError("bad record mac")

    monkeypatch.setattr(utils, "download_url", broken)
    good[0].unlink()
    with pytest.raises(Missing, match=r"cannot be downloaded \(.*bad record mac.*\): put "):
        fetch(good[1], good[0].parent)
