"""The corpus pipeline on real code, stage by stage, beside datatrove's nearest equivalent.

    python benchmarks/corpus/compare.py recipes/languages-sources.yaml --peer .venv-peers/bin/python

The sources are read once, into Parquet; every step then runs in a process of its own, ours and the peer's in turn, so
that memory and time are a step's own. Megabytes are of the text that a step is given. The record's figures are medians.

    filter       every rule, licence header, secrets, exact keys, Parquet to Parquet; datatrove: the rules that are
                 numbers as a Python function in its LambdaFilter, without secrets or licences
    near         MinHash of 14 x 8 hashes over 5-grams of words, buckets, components; datatrove: its four stages
    tokenise     tokens of the clean files in shards with a ledger; datatrove: DocumentTokenizer, unshuffled
    bare         the ids of the same texts from the bare `tokenizers` library, in batches, on all cores
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CORES = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", type=Path, help="recipe of sources")
    parser.add_argument("--cache", type=Path, default=Path("data/archives"))
    parser.add_argument("--work", type=Path, default=Path("data/benchmark"), help="folder that is filled")
    parser.add_argument("--peer", help="Python of an environment with datatrove and spacy")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", default="filter,near,tokenise,bare")
    given = parser.parse_args()
    read = given.work / "read"
    if not read.exists():
        step(sys.executable, "ours.py", "read", given.sources, given.cache, read)
    rows: dict[str, list[dict[str, Any]]] = {}
    for turn in range(given.rounds):
        for name in given.steps.split(","):
            sides = {"codegeex": (sys.executable, "ours.py")}
            if given.peer and name != "bare":
                sides["datatrove"] = (given.peer, "peer_datatrove.py")
            for side, (python, script) in sides.items():
                out = given.work / f"{side}-{name}"
                shutil.rmtree(out, ignore_errors=True)
                found = step(python, script, name, given.work, out)
                rows.setdefault(f"{name} {side}", []).append(found)
                print(f"round {turn + 1}: {name} {side} {found}", file=sys.stderr, flush=True)
    summary = {}
    print(f"{'step':<24}{'MB':>7}{'seconds':>9}{'MB/s/core':>11}{'peak MB':>9}  kept")
    for name, found in rows.items():
        seconds = statistics.median(one["seconds"] for one in found)
        speed = found[0]["megabytes"] / seconds / CORES
        peak = statistics.median(one["peak_mb"] for one in found)
        summary[name] = {"seconds": seconds, "mb_per_s_per_core": round(speed, 1), "peak_mb": peak}
        print(f"{name:<24}{found[0]['megabytes']:>7.0f}{seconds:>9.1f}{speed:>11.1f}{peak:>9.0f}  {found[0]['kept']:,}")
    print(json.dumps(summary))


def step(python: str, script: str, *arguments: object) -> dict[str, Any]:
    command = [python, str(HERE / script), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
