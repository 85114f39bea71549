"""Rows come back by id, whoever wrote them; errors come as one line."""

import random

import daft
import pyarrow
import pytest
from pyarrow import parquet

from codegeex.corpus import choosing, engine
from codegeex.errors import CodeGeeXError, WorkFailed


@pytest.mark.parametrize("kind", ["one after another", "overlapping", "shuffled in themselves"])
@pytest.mark.parametrize("bucket", [1 << 30, 20_000])
def test_rows_are_read_by_id(tmp_path, kind, bucket, monkeypatch):
    monkeypatch.setattr(engine, "BUCKET_BYTES", bucket)
    before = tmp_path / "rows"
    before.mkdir()
    tmp_path = before
    rng = random.Random(1)
    ids = [list(range(start, start + 700)) for start in range(0, 7000, 700)]
    if kind == "overlapping":
        rng.shuffle(pool := list(range(7000)))
        ids = [sorted(pool[start : start + 700]) for start in range(0, 7000, 700)]
    elif kind == "shuffled in themselves":
        for part in ids:
            rng.shuffle(part)
    for name, part in zip(rng.sample(range(100), len(ids)), ids, strict=True):
        parquet.write_table(
            pyarrow.table({"id": part, "text": [f"text {one}" for one in part]}), tmp_path / f"{name}.parquet"
        )
    assert [row["id"] for row in engine.ordered(tmp_path)] == list(range(7000))
    assert [row["text"] for row in engine.ordered(tmp_path, ["text"])] == [f"text {one}" for one in range(7000)]
    assert [path.name for path in tmp_path.parent.iterdir()] == ["rows"]


def test_there_may_be_no_rows(tmp_path):
    assert list(engine.ordered(tmp_path)) == []
    parquet.write_table(pyarrow.table({"id": pyarrow.array([], pyarrow.int64())}), tmp_path / "a.parquet")
    assert list(engine.ordered(tmp_path)) == []


def test_what_is_written_is_read(tmp_path):
    told = []
    frame = daft.from_pydict({"id": list(range(50_000)), "text": ["a" * (one % 50) for one in range(50_000)]})
    engine.write(frame, tmp_path / "out", 50_000, lambda done, total: told.append((done, total)))
    rows = list(engine.ordered(tmp_path / "out"))
    assert [row["id"] for row in rows] == list(range(50_000))
    assert all(total == 50_000 and done <= total for done, total in told)


def test_ids_are_looked_up():
    import numpy as np

    wanted = np.array([2, 3, 5, 100], np.int64)
    frame = daft.from_pydict({"id": list(range(200))})
    assert frame.where(choosing.among(wanted)(daft.col("id"))).to_pydict()["id"] == wanted.tolist()
    assert frame.where(choosing.among(wanted[:0])(daft.col("id"))).to_pydict()["id"] == []


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (OSError(28, "No space left on device"), WorkFailed, "No space left on device"),
        (CodeGeeXError("the recipe is wrong"), CodeGeeXError, "the recipe is wrong"),
    ],
)
def test_errors_of_workers_are_one_line(tmp_path, error, kind, message):
    @daft.func.batch(return_dtype=daft.DataType.int64(), use_process=False)
    def fail(column: daft.Series) -> list[int]:
        raise error

    with pytest.raises(kind, match=message) as caught:
        engine.write(daft.from_pydict({"id": [1]}).select(fail(daft.col("id"))), tmp_path / "out")
    assert "\n" not in str(caught.value)
