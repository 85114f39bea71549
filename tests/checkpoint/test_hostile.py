"""Official files that are damaged or made to harm: one clear error, no code run, nothing written."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codegeex.checkpoint import OfficialSource, torch_file, write_model
from codegeex.cli.main import main
from codegeex.errors import CodeGeeXError


def records(path: Path) -> dict[str, range]:
    """Where the bytes of every record of a zip archive are, from the layout of the zip format."""
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        places = {}
        for info in archive.infolist():
            name_length, extra_length = struct.unpack_from("<HH", data, info.header_offset + 26)
            start = info.header_offset + 30 + name_length + extra_length
            places[info.filename.partition("/")[2]] = range(start, start + info.file_size)
    return places


def tensor_places(path: Path, state: dict[str, torch.Tensor]) -> dict[str, range]:
    """Where every tensor's bytes are: PyTorch numbers the storages in the order in which it meets them."""
    places = records(path)
    return {name: places[f"data/{index}"] for index, name in enumerate(state)}


def rewritten(path: Path, change: Callable[[str, bytes], bytes | None], compression: int = zipfile.ZIP_STORED) -> Path:
    """A copy with other records (None leaves one out) and right checksums."""
    copy = path.with_name("rewritten.pt")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w", compression) as target:
        for name in source.namelist():
            if (data := change(name.partition("/")[2], source.read(name))) is not None:
                target.writestr(name, data)
    return copy


# Pickles made by hand: an object that says what the unpickler is to call, and a tensor that may describe anything.


class Call:
    def __init__(self, function: Any, *arguments: Any, state: Any = None):
        self.reduced = (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.reduced


class Storage(NamedTuple):
    key: Any = "0"
    kind: Any = torch.FloatStorage
    items: Any = 16


STORAGE = Storage()


def tensor(
    storage: Any = STORAGE, offset: Any = 0, shape: Any = (4, 4), strides: Any = (4, 1), state: Any = None
) -> Call:
    return Call(torch._utils._rebuild_tensor_v2, storage, offset, shape, strides, False, {}, state=state)


class Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        return ("storage", obj.kind, obj.key, "cpu", obj.items) if isinstance(obj, Storage) else None


def archive(path: Path, content: Any, data: bytes = bytes(64)) -> Path:
    """A `.pt` file with `content`, or with that pickle, and storage 0."""
    if not isinstance(content, bytes):
        buffer = BytesIO()
        Pickler(buffer, protocol=2).dump(content)
        content = buffer.getvalue()
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("archive/data.pkl", content)
        target.writestr("archive/data/0", data)
    return path


# Code.


@pytest.mark.parametrize("place", ["alone", "beside the weights", "among the weights", "as an optimizer"])
def test_code_in_a_pickle_is_not_run(place, tmp_path, official, state, refused) -> None:
    sentinel = tmp_path / "sentinel"
    call = Call(os.system, f"touch {sentinel}")
    torch.save(
        {
            "alone": call,
            "beside the weights": {"module": official.nest(state), "epoch": call},
            "among the weights": {"module": official.nest(state | {"language_model.transformer.layers.0.x": call})},
            "as an optimizer": {"optimizer": {"state": [call]}, "module": official.nest(state)},
        }[place],
        tmp_path / "model.pt",
    )
    refused(lambda: OfficialSource(tmp_path / "model.pt", official.heads), "system", "weights never need")
    assert not sentinel.exists()
    torch.load(tmp_path / "model.pt", weights_only=False)  # the file would have done it
    assert sentinel.exists()


@pytest.mark.parametrize(
    "function",
    [
        eval,
        exec,
        getattr,
        open,
        subprocess.Popen,
        torch.load,
        torch.nn.Linear,
        Path,
        pickle.loads,
        __import__,
        bytearray,
    ],
    ids=lambda function: f"{function.__module__}.{function.__name__}",
)
def test_other_names_are_refused(function, tmp_path, refused) -> None:
    """Named only: refused before anything could be done with it."""
    path = archive(tmp_path / "model.pt", {"module": function})
    refused(lambda: OfficialSource(path), function.__name__)


@pytest.mark.parametrize("name", ["_Unpickler", "os.system", "__builtins__"])
def test_names_of_the_reader_itself_are_refused(name, tmp_path, refused) -> None:
    refused(
        lambda: OfficialSource(archive(tmp_path / "model.pt", f"ccodegeex.checkpoint.torch_file\n{name}\n.".encode()))
    )


# Tensors that are not what they say.

OUTSIDE = {
    "too far": tensor(offset=1),
    "far beyond": tensor(offset=1 << 40),
    "before its storage": tensor(offset=-4),
    "backwards": tensor(offset=15, strides=(-4, -1)),
    "too many rows": tensor(shape=(5, 4)),
    "a row repeated": tensor(shape=(1 << 20, 4), strides=(0, 1)),
    "negative size": tensor(shape=(-4, 4)),
    "more sizes than strides": tensor(shape=(2, 2, 4)),
    "sizes that are no numbers": tensor(shape=("4", 4)),
    "a size that is no whole number": tensor(shape=(4.0, 4)),
    "no storage": tensor(storage=None),
    "a storage of names": tensor(Storage(kind="F32", items="16")),
    "a storage that is no pair": tensor(storage=("storage", "F32", "0", "cpu", 16)),
    "moved after the check": tensor(state=[Storage(), -(1 << 20), (4, 4), (4, 1)]),
    "stretched after the check": tensor(state=(None, {"shape": (1 << 30, 4)})),
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_a_tensor_outside_its_storage_is_refused(case, tmp_path, refused) -> None:
    path = archive(tmp_path / "model.pt", {"word_embeddings.weight": OUTSIDE[case]})
    with pytest.raises(CodeGeeXError):
        torch_file.TorchFile(path)
    refused(lambda: OfficialSource(path))


@pytest.mark.parametrize("storage", [Storage(items=17), Storage(items=1 << 50), Storage(key="1"), Storage(key="../0")])
def test_a_storage_that_the_file_does_not_hold(storage, tmp_path) -> None:
    file = torch_file.TorchFile(archive(tmp_path / "model.pt", {"w": tensor(storage)}))
    with pytest.raises(CodeGeeXError, match=r"tensor w is (cut short|missing)"):
        file.read(file.content["w"], "w")


def cyclic() -> dict[str, Any]:
    content: dict[str, Any] = {"w": tensor()}
    content["again"] = content
    return content


def doubling(levels: int = 60) -> dict[str, Any]:
    """2^60 names in a pickle of a few hundred bytes."""
    content: dict[str, Any] = {"w": tensor()}
    for _ in range(levels):
        content = {"a": content, "b": content}
    return content


PICKLES = {
    "cycle": cyclic(),
    "doubling": doubling(),
    "deep": b"\x80\x02" + b"}X\1\0\0\0a" * 50_000 + b"N" + b"s" * 50_000 + b".",
    "huge number as a key": b"\x80\x02}\x8b" + struct.pack("<i", 9000) + b"\x01" * 9000 + b"Ns.",
    "huge string": b"\x80\x02\x8d" + struct.pack("<Q", 1 << 60) + b"a.",
    "methods replaced": b"\x80\x02ccollections\nOrderedDict\n)RN}X\5\0\0\0items}s\x86b.",
    "empty": b"",
    "a number": b"\x80\x02K\1.",
    "a huge layer number": {f"layers.{'9' * 5000}.attention.query.weight": tensor()},
    "a very high layer": {"layers.999999999999.attention.query.weight": tensor()},
}


@pytest.mark.parametrize("case", PICKLES)
def test_pickles_that_would_exhaust_the_reader(case, tmp_path, refused) -> None:
    path = archive(tmp_path / "model.pt", PICKLES[case])
    refused(lambda: OfficialSource(path))
    path.write_bytes(path.read_bytes()[:-30])  # the walk over a file that was cut short reads the same pickle
    refused(lambda: OfficialSource(path), "cut short")


def test_a_memo_of_any_size_takes_no_memory(tmp_path) -> None:
    """The unpickler in C would allocate 256 MB here, and 64 GB for the largest number that fits in these 8 bytes."""
    path = archive(tmp_path / "model.pt", b"\x80\x02}r" + struct.pack("<I", 1 << 24) + b".")
    tracemalloc.start()
    torch_file.TorchFile(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 << 20


@pytest.mark.parametrize("record", ["data.pkl", "data/3"])
def test_compressed_records_are_refused(record, released, official, state, refused) -> None:
    """A zip bomb: a few kilobytes that would unpack into gigabytes."""
    path = released.with_name("bomb.pt")
    with zipfile.ZipFile(released) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            chosen = name.endswith(record)
            data = bytes(20 << 20) if chosen and record != "data.pkl" else source.read(name)
            target.writestr(name, data, zipfile.ZIP_DEFLATED if chosen else zipfile.ZIP_STORED)
    words = ["compressed"] if record == "data.pkl" else ["compressed", list(state)[3]]
    refused(lambda: OfficialSource(path, official.heads), *words)


def test_an_index_too_large_is_not_read(released, official, monkeypatch, refused) -> None:
    monkeypatch.setattr(torch_file, "MAX_PICKLE_BYTES", 100)
    refused(lambda: OfficialSource(released, official.heads), "index is too large")


# Damage.

FRACTIONS = [index / 20 for index in range(20)]
FROM_THE_END = [1, 2, 21, 22, 23, 40, 98, 99, 500, 2000]


@pytest.mark.parametrize("cut", [*FRACTIONS, *(-count for count in FROM_THE_END)])
def test_a_file_cut_short(cut, released, official, state, refused) -> None:
    """Names the tensor in which the file ends, where it ends in a tensor."""
    places = tensor_places(released, state)
    data = released.read_bytes()
    kept = int(cut * len(data)) if cut >= 0 else len(data) + cut
    released.write_bytes(data[:kept])
    inside = [name for name, place in places.items() if place.start <= kept < place.stop]
    message = refused(lambda: OfficialSource(released, official.heads), *inside)
    assert "cut short" in message or kept < 4


def test_a_file_cut_in_each_tensor(released, official, state, refused) -> None:
    data = released.read_bytes()
    for name, place in tensor_places(released, state).items():
        for kept in (place.start, (place.start + place.stop) // 2, place.stop - 1):
            released.write_bytes(data[:kept])
            refused(
                lambda: OfficialSource(released, official.heads),
                f"{name} is missing",
                "cut short",
                "copy the file again",
            )


def test_a_part_cut_short(tmp_path, official, state, refused) -> None:
    parts = official.save_parts(tmp_path / "parts", official.split(state, 2))
    second = parts / "mp_rank_01_model_states.pt"
    second.write_bytes(second.read_bytes()[:-1000])
    refused(lambda: OfficialSource(parts, official.heads), second.name, "cut short")


def test_a_flipped_bit_in_each_tensor(released, official, state, refused) -> None:
    data = bytearray(released.read_bytes())
    for name, place in tensor_places(released, state).items():
        middle = (place.start + place.stop) // 2
        data[middle] ^= 1
        released.write_bytes(data)
        refused(lambda: OfficialSource(released, official.heads), f"tensor {name} is damaged")
        data[middle] ^= 1


def test_a_record_that_is_missing(released, official, state, refused) -> None:
    path = rewritten(released, lambda name, data: None if name == "data/5" else data)
    refused(lambda: OfficialSource(path, official.heads), f"tensor {list(state)[5]} is missing")


def test_a_record_that_is_too_short(released, official, state, refused) -> None:
    path = rewritten(released, lambda name, data: data[:-4] if name == "data/5" else data)
    refused(lambda: OfficialSource(path, official.heads), f"tensor {list(state)[5]} is cut short")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory, official, state) -> Path:
    return official.save(tmp_path_factory.mktemp("pristine") / "model.pt", state)


def survives(path: Path) -> None:
    """Reading it gives a model or one CodeGeeXError, and no other exception."""
    try:
        source = OfficialSource(path, {"num_attention_heads": 4})
        for name in source.specs:
            source.read(name)
    except CodeGeeXError:
        pass


fuzz = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
Edits = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4)


def edited(data: bytes, edits: list[tuple[float, int]]) -> bytes:
    changed = bytearray(data)
    for place, bits in edits:
        changed[int(place * len(changed))] ^= bits
    return bytes(changed)


@fuzz
@given(edits=Edits)
def test_any_bytes_changed_in_the_index(edits, pristine) -> None:
    """With the right checksum, so that the pickle is what has to hold."""
    survives(rewritten(pristine, lambda name, data: edited(data, edits) if name == "data.pkl" else data))


@fuzz
@given(edits=Edits)
def test_any_bytes_changed_in_the_directory_of_the_archive(edits, pristine) -> None:
    data = pristine.read_bytes()
    start = data.index(b"PK\x01\x02")
    changed = pristine.with_name("changed.pt")
    changed.write_bytes(data[:start] + edited(data[start:], edits))
    survives(changed)


@fuzz
@given(edits=Edits)
def test_any_bytes_changed_in_the_headers_of_the_records(edits, pristine) -> None:
    data = pristine.read_bytes()
    changed = pristine.with_name("changed.pt")
    headers = list(headers_of(data))
    for place, bits in edits:
        at = headers[int(place * len(headers))]
        data = data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]
    changed.write_bytes(data)
    survives(changed)


def headers_of(data: bytes) -> Iterator[int]:
    start = data.find(b"PK\x03\x04")
    while start >= 0:
        yield from range(start, start + 30)
        start = data.find(b"PK\x03\x04", start + 4)


# Weights that do not fit.

QUERY = "language_model.transformer.layers.1.attention.query.weight"
NORM = "language_model.transformer.topQueryLayer.input_layernorm.bias"
TABLE = "language_model.embedding.word_embeddings.weight"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({QUERY: torch.zeros(32, 31)}, ["layers.1.attention.query.weight", "shape [32, 31]"]),
        ({QUERY: torch.zeros(32)}, ["layers.1.attention.query.weight", "shape [32]"]),
        ({QUERY: torch.tensor(1.0)}, ["layers.1.attention.query.weight"]),
        ({NORM: torch.zeros(33)}, ["top_query_layer.input_layernorm.bias", "shape [33]"]),
        ({TABLE: torch.zeros(0, 32)}, ["vocab_size"]),
        ({TABLE: torch.zeros(48)}, ["word_embeddings.weight"]),
        ({QUERY: torch.zeros(32, 32).double()}, ["layers.1.attention.query.weight", "type F64"]),
        ({QUERY: torch.zeros(32, 32).to(torch.int8)}, ["layers.1.attention.query.weight", "type I8"]),
        ({NORM: torch.zeros(32).long()}, ["top_query_layer.input_layernorm.bias", "type I64"]),
        ({QUERY: None}, ["layers.1.attention.query.weight is missing"]),
        ({NORM: None}, ["top_query_layer.input_layernorm.bias is missing"]),
        ({TABLE: None}, ["word_embeddings.weight is missing"]),
        ({QUERY: "a string"}, ["layers.1.attention.query.weight is missing"]),
        ({QUERY.replace("query", "rotary"): torch.zeros(3)}, ["unexpected tensor layers.1.attention.rotary.weight"]),
        ({QUERY.replace("layers.1", "layers.7"): torch.zeros(32, 32)}, ["layers.2."]),
        ({QUERY.replace("transformer", "ema"): torch.zeros(32, 32)}, ["layers.1.attention.query.weight", "twice"]),
        ({QUERY.replace("query", "query_key_value"): torch.zeros(97, 32)}, ["query_key_value", "3 equal parts"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_weights_that_do_not_fit(change, words, tmp_path, official, state, refused) -> None:
    changed = {name: value for name, value in (state | change).items() if value is not None}
    path = official.save(tmp_path / "model.pt", changed)
    refused(lambda: OfficialSource(path, official.heads), *words)


def test_parts_that_do_not_fit_together(tmp_path, official, state, refused) -> None:
    for number, (name, value, word) in enumerate(
        [
            (QUERY, torch.zeros(15, 32), "layers.1.attention.query.weight"),
            (QUERY, torch.zeros(16, 31), "layers.1.attention.query.weight"),
            (QUERY, torch.zeros(16, 32).half(), "layers.1.attention.query.weight"),
            (QUERY, torch.zeros(16), "layers.1.attention.query.weight"),
            (QUERY, None, "layers.1.attention.query.weight"),
            (NORM, torch.zeros(31), "top_query_layer.input_layernorm.bias"),
            (TABLE, torch.zeros(24, 16), "word_embeddings.weight"),
            (NORM.replace("bias", "gain"), torch.zeros(32), "top_query_layer.input_layernorm.gain"),
        ]
    ):
        first, second = official.split(state, 2)
        second = {key: tensor for key, tensor in (second | {name: value}).items() if tensor is not None}
        parts = official.save_parts(tmp_path / f"parts{number}", [first, second])
        refused(lambda parts=parts: OfficialSource(parts, official.heads), f"tensor {word} ")


def test_a_part_that_is_missing(tmp_path, official, state, refused) -> None:
    parts = official.save_parts(tmp_path / "parts", official.split(state, 4))
    (parts / "mp_rank_03_model_states.pt").unlink()
    refused(lambda: OfficialSource(parts, official.heads), "tensor ", "shape")
    (parts / "mp_rank_01_model_states.pt").unlink()
    refused(lambda: OfficialSource(parts, official.heads), "rank 1 is missing")


# Other files.


def other_files(path: Path) -> dict[str, Callable[[], Any]]:
    return {
        "old format": lambda: torch.save({"w": torch.ones(3)}, path, _use_new_zipfile_serialization=False),
        "empty": lambda: path.write_bytes(b""),
        "one byte": lambda: path.write_bytes(b"P"),
        "text": lambda: path.write_text("not a checkpoint"),
        "zeros": lambda: path.write_bytes(bytes(1000)),
        "another zip": lambda: archive_of_text(path),
        "other tensors": lambda: torch.save({"weight": torch.ones(3)}, path),
        "a tensor": lambda: torch.save(torch.ones(3), path),
        "big-endian": lambda: rewritten_byte_order(path),
        "missing": lambda: None,
        "a directory": lambda: path.mkdir(),
    }


def archive_of_text(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("readme.txt", "hello")


def rewritten_byte_order(path: Path) -> None:
    torch.save({"w": torch.ones(3)}, path)
    rewritten(path, lambda name, data: b"big" if name == "byteorder" else data).replace(path)


WORDS = {
    "old format": "PyTorch before 1.6",
    "empty": "not a PyTorch checkpoint",
    "one byte": "not a PyTorch checkpoint",
    "text": "not a PyTorch checkpoint",
    "zeros": "not a PyTorch checkpoint",
    "another zip": "not a PyTorch checkpoint",
    "other tensors": "no CodeGeeX weights",
    "a tensor": "no CodeGeeX weights",
    "big-endian": "big-endian",
    "missing": "cannot read",
    "a directory": "expected mp_rank_XX",
}


@pytest.mark.parametrize("kind", WORDS)
def test_other_files(kind, tmp_path, refused) -> None:
    path = tmp_path / "model.pt"
    other_files(path)[kind]()
    refused(lambda: OfficialSource(path), WORDS[kind])


# The command line.


def break_evil(path: Path) -> str:
    torch.save({"module": Call(os.system, "true")}, path)
    return "system"


def break_cut(path: Path) -> str:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return "cut short"


def break_old(path: Path) -> str:
    torch.save({"w": torch.ones(3)}, path, _use_new_zipfile_serialization=False)
    return "PyTorch before 1.6"


def break_line(path: Path) -> str:
    archive(path, b"cos\x0b\nsys\rtem\n.")  # line breaks in the name that the message repeats
    return "weights never need"


@pytest.mark.parametrize("verb", ["official", "int8"])
@pytest.mark.parametrize("harm", [break_evil, break_cut, break_old, break_line])
def test_one_line_and_exit_code_2(harm, verb, released, tmp_path, capsys) -> None:
    word = harm(released)
    with pytest.raises(SystemExit) as stop:
        main(["convert", verb, str(released), str(tmp_path / "out" / "model")])
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("error: ")
    assert word in captured.err
    assert not (tmp_path / "out" / "model").exists()
    assert not [*tmp_path.rglob("*.partial")]


def test_damage_met_midway_in_a_process_of_its_own(released, state, tmp_path) -> None:
    """The last tensor's checksum is wrong: most of the model has been written by then."""
    name, place = [*tensor_places(released, state).items()][-1]
    data = bytearray(released.read_bytes())
    data[place.start] ^= 255
    released.write_bytes(data)
    config = tmp_path / "config.json"
    config.write_text('{"num_attention_heads": 4}')
    output = tmp_path / "model"
    command = [
        sys.executable,
        "-m",
        "codegeex",
        "convert",
        "official",
        str(released),
        str(output),
        "--config",
        str(config),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"tensor {name} is damaged" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "released.pt"]


def test_the_file_read_is_fine(released, official, tmp_path) -> None:
    """What the tests above break does convert."""
    write_model(tmp_path / "model", OfficialSource(released, official.heads))
    assert (tmp_path / "model" / "config.json").is_file()
