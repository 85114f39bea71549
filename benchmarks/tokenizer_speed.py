"""Our tokenizer beside the bare `tokenizers` library, on 10 MB of Python source.

    python benchmarks/tokenizer_speed.py [--vocabulary DIR]

The bare library encodes with the same merges but without the whitespace rule: what is compared is the cost of the rule
and of our wrapper. Both sides take turns; the figure is the median of the ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sysconfig
import time
from pathlib import Path

from tokenizers import Tokenizer as Backend
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from codegeex import tokenizer
from codegeex.assistant.assistant import EMBEDDED_MODEL

BYTES = 10_000_000
ROUNDS = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocabulary", type=Path, default=EMBEDDED_MODEL, help="directory with the tokenizer")
    ours = tokenizer.load(parser.parse_args().vocabulary)
    model = json.loads(ours.backend.to_str())["model"]
    bare = Backend(BPE(vocab=model["vocab"], merges=[tuple(merge) for merge in model["merges"]]))
    bare.pre_tokenizer = ByteLevel(add_prefix_space=False)

    texts = sample(BYTES)
    size = sum(len(text.encode()) for text in texts)
    rows = []
    for name, our_way, bare_way in (
        ("one by one", lambda: list(map(ours.encode, texts)), lambda: [bare.encode(text).ids for text in texts]),
        (
            "in batches",
            lambda: ours.encode_batch(texts),
            lambda: [encoding.ids for encoding in bare.encode_batch_fast(texts)],
        ),
    ):
        pairs = [(seconds(our_way), seconds(bare_way)) for _ in range(ROUNDS)]
        rows.append(
            {
                "mode": name,
                "ours_mb_s": round(size / 1e6 / statistics.median(first for first, _ in pairs), 2),
                "bare_mb_s": round(size / 1e6 / statistics.median(second for _, second in pairs), 2),
                "speed_ratio": round(statistics.median(second / first for first, second in pairs), 3),
            }
        )
    tokens = sum(map(len, ours.encode_batch(texts)))
    bare_tokens = sum(len(encoding.ids) for encoding in bare.encode_batch_fast(texts))
    print(f"{size / 1e6:.1f} MB of Python, {len(ours)} ids; tokens: ours {tokens:,}, bare {bare_tokens:,}")
    print(f"{'':<12}{'ours MB/s':>12}{'bare MB/s':>12}{'ours/bare':>12}")
    for row in rows:
        print(f"{row['mode']:<12}{row['ours_mb_s']:>12}{row['bare_mb_s']:>12}{row['speed_ratio']:>12}")
    print(json.dumps({"megabytes": size / 1e6, "tokens": tokens, "bare_tokens": bare_tokens, "rows": rows}))


def sample(size: int) -> list[str]:
    """Files of the standard library, in the order of their names, up to `size` bytes."""
    texts: list[str] = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if size <= 0:
            break
        try:
            texts.append(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            continue
        size -= path.stat().st_size
    return texts


def seconds(action: object) -> float:
    began = time.perf_counter()
    action()  # type: ignore[operator]
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
