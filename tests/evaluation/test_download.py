"""Fetching the benchmark, from a server of our own."""

from __future__ import annotations

import gzip
import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from codegeex.errors import WorkFailed
from codegeex.evaluation.download import CHECKSUMS, download


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path):
    root = tmp_path / "served"
    (root / "go/data").mkdir(parents=True)
    (root / "go/data/humaneval_go.jsonl.gz").write_bytes(gzip.compress(b"problems\n"))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=root)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", root
        server.shutdown()
        thread.join()


def test_files_are_fetched_once_and_checked(server, tmp_path):
    url, root = server
    right = {"go": hashlib.sha256(b"problems\n").hexdigest()}
    (path,) = download(tmp_path / "kept", url, right)
    assert gzip.decompress(path.read_bytes()) == b"problems\n"
    (root / "go/data/humaneval_go.jsonl.gz").unlink()
    assert list(download(tmp_path / "kept", url, right)) == [path]  # without asking again
    with pytest.raises(WorkFailed, match="cannot fetch"):
        list(download(tmp_path / "other", url, right))


def test_another_file_is_not_kept(server, tmp_path):
    with pytest.raises(WorkFailed, match="checksum differs"):
        list(download(tmp_path / "kept", server[0], {"go": "0" * 64}))
    assert list((tmp_path / "kept").iterdir()) == []


def test_the_checksums_are_those_of_the_published_files(published):
    for runner, checksum in CHECKSUMS.items():
        text = gzip.decompress((published / f"humaneval_{runner}.jsonl.gz").read_bytes())
        assert hashlib.sha256(text).hexdigest() == checksum
