"""Fetches the published files of HumanEval-X, which this project does not carry, and checks that they are the ones."""

from __future__ import annotations

import gzip
import hashlib
import urllib.request
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from codegeex.errors import WorkFailed
from codegeex.files import atomic_file

PUBLISHED = "https://raw.githubusercontent.com/zai-org/CodeGeeX/main/codegeex/benchmark/humaneval-x"

CHECKSUMS = {
    "python": "f0e21637407b08a725dbc5bfcc20f909049f73564dd0d55dcc11619fa0838849",
    "cpp": "af420b4b58c1b5e7f4cac9c1257daad7b20b5c77e88d59ccc120e63825f03325",
    "java": "2157a77a6ff808020adc20142228b4ff698048c0696b33110786400c47c5d79c",
    "js": "da529500a73fcbc86bc8f6c7855c0f2c0fc7af1c4dc530e26a54bbfd17f97cef",
    "go": "87aba5e8ab3be26aec48a355b77c73790900ebae3731c44ea9e3fdd5ea51f1fe",
    "rust": "36938439d536c34418b582db82f7bfa5d0331990424fc69b1915c5067634b4e7",
}
"""SHA-256 of each file's text; a file packed anew is still the same."""

_LARGEST = 16 << 20


def download(folder: Path, base: str = PUBLISHED, checksums: Mapping[str, str] = CHECKSUMS) -> Iterator[Path]:
    """Fetch what is not there yet; yields every file as it is there.

    Raises:
        WorkFailed: no answer, or a file that is not the published one; nothing of it is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for runner, checksum in checksums.items():
        path = folder / f"humaneval_{runner}.jsonl.gz"
        if not (path.exists() and _checksum(path.read_bytes()) == checksum):
            url = f"{base}/{runner}/data/{path.name}"
            try:
                with urllib.request.urlopen(url, timeout=60) as answer:
                    data = answer.read(_LARGEST)
            except OSError as error:
                raise WorkFailed(
                    f"cannot fetch {url}: {error}. Without a network, copy the file from a machine that has one "
                    f"to {folder}."
                ) from None
            if _checksum(data) != checksum:
                raise WorkFailed(f"{url} is not the published file: its checksum differs.")
            with atomic_file(path) as file:
                file.write(data)
        yield path


def _checksum(data: bytes) -> str:
    """Of the unpacked text; "" where it cannot be unpacked."""
    try:
        return hashlib.sha256(gzip.decompress(data)).hexdigest()
    except (OSError, EOFError, zlib.error):
        return ""
