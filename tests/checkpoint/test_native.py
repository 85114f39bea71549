"""The native model directory: safetensors beside the library, config.json, whole or not at all, int8."""

from __future__ import annotations

import errno
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from codegeex.checkpoint import Int8Source, NativeSource, TensorSource, TensorSpec, write_model
from codegeex.checkpoint.native import INDEX_FILE, SINGLE_FILE
from codegeex.checkpoint.quantize import ROWS_AT_ONCE, dequantize, quantize
from codegeex.checkpoint.safetensors_file import SafetensorsFile, release_pages, write_header
from codegeex.checkpoint.source import DTYPES, is_linear_weight, scale_name, tensor_shapes
from codegeex.cli.main import main
from codegeex.config import PRESETS, ModelConfig, Quantization
from codegeex.errors import CodeGeeXError, WorkFailed
from codegeex.tokenizer import Tokenizer

CONFIG = ModelConfig(hidden_size=16, num_layers=1, num_attention_heads=2, vocab_size=24, max_position_embeddings=8)
MATRIX = "layers.0.attention.key.weight"
shared_directory = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


class ArraySource:
    """Given arrays as a source; float arrays are F32 or F16, by their type."""

    def __init__(self, tensors: Mapping[str, NDArray[Any]], config: ModelConfig = CONFIG):
        self.config, self.tensors = config, dict(tensors)
        names = {dtype: name for name, dtype in DTYPES.items()}
        self.specs = {name: TensorSpec(names[array.dtype], array.shape) for name, array in tensors.items()}

    def read(self, name: str) -> NDArray[Any]:
        return self.tensors[name]


@pytest.fixture
def source() -> ArraySource:
    rng = np.random.default_rng(5)
    return ArraySource({name: rng.normal(size=shape).astype("f4") for name, shape in tensor_shapes(CONFIG).items()})


@pytest.fixture
def directory(source: ArraySource, tmp_path: Path) -> Path:
    write_model(tmp_path / "native", source)
    return tmp_path / "native"


def write_safetensors(path: Path, tensors: Mapping[str, tuple[str, NDArray[Any]]]) -> None:
    with path.open("wb") as file:
        write_header(file, {name: TensorSpec(dtype, array.shape) for name, (dtype, array) in tensors.items()})
        for _, array in tensors.values():
            file.write(array.tobytes())


# The file format, beside the library.


def tensors_of(*dtypes: str) -> st.SearchStrategy[dict[str, tuple[str, NDArray[Any]]]]:
    shapes = array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
    return st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(lambda name: name != "__metadata__"),
        st.sampled_from(dtypes).flatmap(lambda dtype: st.tuples(st.just(dtype), arrays(DTYPES[dtype], shapes))),
        max_size=5,
    )


@shared_directory
@given(tensors=tensors_of("F32", "F16", "BF16", "I8"))
def test_the_library_reads_what_we_write(tensors, tmp_path) -> None:
    write_safetensors(tmp_path / "ours.safetensors", tensors)
    found = dict(safetensors.deserialize((tmp_path / "ours.safetensors").read_bytes()))
    assert set(found) == set(tensors)
    for name, (dtype, array) in tensors.items():
        assert (found[name]["dtype"], tuple(found[name]["shape"])) == (dtype, array.shape)
        assert bytes(found[name]["data"]) == array.tobytes()


@shared_directory
@given(tensors=tensors_of("F32", "F16", "I8"))
def test_we_read_what_the_library_writes(tensors, tmp_path) -> None:
    path = tmp_path / "theirs.safetensors"
    safetensors.numpy.save_file({name: array for name, (_, array) in tensors.items()}, path)
    file = SafetensorsFile(path)
    assert file.specs == {name: TensorSpec(dtype, array.shape) for name, (dtype, array) in tensors.items()}
    for name, (_, array) in tensors.items():
        assert file.read(name).tobytes() == array.tobytes()


def test_bfloat16_as_pytorch_writes_and_reads_it(tmp_path) -> None:
    torch = pytest.importorskip("torch")
    import safetensors.torch

    values = torch.randn(3, 5).bfloat16()
    safetensors.torch.save_file({"w": values}, tmp_path / "theirs.safetensors")
    bits = SafetensorsFile(tmp_path / "theirs.safetensors").read("w")
    write_safetensors(tmp_path / "ours.safetensors", {"w": ("BF16", bits)})
    assert torch.equal(safetensors.torch.load_file(tmp_path / "ours.safetensors")["w"], values)


def test_a_model_directory_for_the_library(directory, source) -> None:
    found = safetensors.numpy.load_file(directory / SINGLE_FILE)
    assert set(found) == set(source.tensors)
    for name, array in source.tensors.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("limit", [1, 2000, 10_000])
def test_weights_over_several_files(limit, source, tmp_path) -> None:
    write_model(tmp_path / "model", source, max_file_bytes=limit)
    index = json.loads((tmp_path / "model" / INDEX_FILE).read_text())
    files = sorted((tmp_path / "model").glob("model-*.safetensors"))
    assert [path.name for path in files] == sorted(set(index["weight_map"].values()))
    assert files[0].name == f"model-00001-of-{len(files):05d}.safetensors"
    assert index["metadata"]["total_size"] == sum(array.nbytes for array in source.tensors.values())
    for path in files:
        found = safetensors.numpy.load_file(path)
        assert sum(array.nbytes for array in found.values()) <= limit or len(found) == 1
        assert {name for name, file in index["weight_map"].items() if file == path.name} == set(found)
    native = NativeSource(tmp_path / "model")
    for name, array in source.tensors.items():
        np.testing.assert_array_equal(native.read(name), array)


def test_progress_counts_bytes(source, tmp_path) -> None:
    calls: list[tuple[int, int]] = []
    write_model(tmp_path / "model", source, progress=lambda done, total: calls.append((done, total)))
    total = sum(array.nbytes for array in source.tensors.values())
    assert calls[-1] == (total, total)
    assert calls == sorted(calls)


# Damage.


@pytest.mark.parametrize("kept", [0, 5, 8, 9, 100, 0.5, 0.9, 0.999])
def test_weights_cut_short(kept, directory, source) -> None:
    path = directory / SINGLE_FILE
    data = path.read_bytes()
    kept = int(kept * len(data)) if isinstance(kept, float) else kept
    path.write_bytes(data[:kept])
    end, first_cut = data.index(b"}}") + 8, ""
    for name, array in source.tensors.items():
        end += array.nbytes
        first_cut = first_cut or (name if end > kept else "")
    with pytest.raises(CodeGeeXError, match="cut short") as caught:
        NativeSource(directory)
    if kept > data.index(b"}}") + 16:
        assert first_cut in str(caught.value)


def header(**entry: Any) -> bytes:
    return json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | entry}).encode()


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"{",
        b"\xff\xff",
        b'{"w": 3}',
        b'{"w": []}',
        b'{"w": {"dtype": "F32"}}',
        b"[" * 100_000,
        b"9" * 5000,
        header(dtype="F64"),
        header(dtype=None),
        header(shape=[3]),
        header(shape=[-2]),
        header(shape=[-1, -2]),
        header(shape=[float("inf")]),
        header(shape=["x"]),
        header(shape=2),
        header(data_offsets=[8, 0]),
        header(data_offsets=[-8, 0]),
        header(data_offsets=[0]),
        header(data_offsets=[0, 8, 8]),
        header(data_offsets=[4, 12]),
        header(data_offsets=[1 << 62, (1 << 62) + 8]),
    ],
    ids=lambda text: text[:60].decode(errors="replace"),
)
def test_damaged_headers(text, tmp_path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
    with pytest.raises(CodeGeeXError, match=r"w\.safetensors"):
        SafetensorsFile(path)


@pytest.mark.parametrize("length", [0, 1, 1 << 20, (1 << 64) - 1])
def test_wrong_header_lengths(length, tmp_path) -> None:
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", length) + header() + bytes(8))
    with pytest.raises(CodeGeeXError, match="not a safetensors file"):
        SafetensorsFile(tmp_path / "w.safetensors")


@shared_directory
@given(edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=3))
def test_any_bytes_changed_in_a_header(edits, tmp_path) -> None:
    data = bytearray(struct.pack("<Q", len(header())) + header() + bytes(8))
    for place, bits in edits:
        data[int(place * (len(data) - 8))] ^= bits
    (tmp_path / "w.safetensors").write_bytes(data)
    try:
        file = SafetensorsFile(tmp_path / "w.safetensors")
        for name, spec in file.specs.items():
            assert file.read(name).shape == spec.shape
    except CodeGeeXError:
        pass


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{}", "no weight_map"),
        ("[]", "no weight_map"),
        ('{"weight_map": 3}', "no weight_map"),
        ('{"weight_map": {"w": ["x"]}}', "no weight_map"),
        ('{"weight_map": {"w": 3}}', "in the model directory itself"),
        ('{"weight_map": {"w": "/etc/passwd"}}', "in the model directory itself"),
        ('{"weight_map": {"w": "../other/model.safetensors"}}', "in the model directory itself"),
        ('{"weight_map": {"w": ".."}}', "cannot read"),
        ('{"weight_map": {"w": "gone.safetensors"}}', "cannot read"),
        ('{"weight_map": {}}', "tensor"),
        ("{", "not valid JSON"),
    ],
)
def test_damaged_index(content, words, directory) -> None:
    (directory / INDEX_FILE).write_text(content)
    with pytest.raises(CodeGeeXError, match=words):
        NativeSource(directory)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format_version": 2}, "format version 2"),
        ({"format_version": None}, "format version None"),
        ({"hidden_size": None}, "hidden_size"),
        ({"hidden_size": 15}, "hidden_size 15 is not a multiple"),
        ({"hidden_size": 32}, "word_embeddings.weight has shape"),
        ({"num_layers": -1}, "num_layers"),
        ({"num_layers": 10**15}, "layers are asked for"),
        ({"num_layers": 2}, r"layers\.1\.input_layernorm\.weight is missing"),
        ({"num_layers": 0}, r"unexpected tensor layers\.0\."),
        ({"num_attention_heads": 0}, "num_attention_heads"),
        ({"vocab_size": 24.0}, "vocab_size"),
        ({"vocab_size": True}, "vocab_size"),
        ({"layernorm_epsilon": "small"}, "layernorm_epsilon"),
        ({"layernorm_epsilon": float("nan")}, "layernorm_epsilon"),
        ({"quantization": {"method": "absmax", "bits": 4, "axis": "output"}}, "unknown quantization"),
        ({"quantization": {"scheme": "other"}}, "unknown quantization"),
        ({"quantization": "int8"}, "unknown quantization"),
        ({"quantization": {"method": "absmax", "bits": 8, "axis": "output"}}, "type F32"),
    ],
    ids=str,
)
def test_config_that_is_wrong(change, words, directory) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CodeGeeXError, match=words):
        NativeSource(directory)


@pytest.mark.parametrize("key", ["hidden_size", "num_layers", "num_attention_heads", "vocab_size"])
def test_config_that_lacks_a_value(key, directory) -> None:
    path = directory / "config.json"
    content = json.loads(path.read_text())
    del content[key]
    path.write_text(json.dumps(content))
    with pytest.raises(CodeGeeXError, match=f"{key} missing"):
        NativeSource(directory)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'"text"'])
def test_config_that_is_garbage(content, directory) -> None:
    (directory / "config.json").write_bytes(content)
    with pytest.raises(CodeGeeXError, match=r"config\.json"):
        NativeSource(directory)


@pytest.mark.parametrize("missing", ["config.json", SINGLE_FILE, ""])
def test_directory_that_is_not_whole(missing, directory) -> None:
    if missing:
        (directory / missing).unlink()
    with pytest.raises(CodeGeeXError, match=missing or "no model directory"):
        NativeSource(directory if missing else directory / "elsewhere")


# Whole or not at all.


def test_existing_output_is_refused_and_left_alone(directory, source) -> None:
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    with pytest.raises(CodeGeeXError, match="exists already"):
        write_model(directory, source)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before
    with pytest.raises(CodeGeeXError, match="exists already"):
        write_model(directory / "config.json", source)


def test_an_empty_directory_is_filled(source, tmp_path, monkeypatch) -> None:
    for name in ("empty", "here"):
        (tmp_path / name).mkdir()
    write_model(tmp_path / "empty", source)
    monkeypatch.chdir(tmp_path / "here")
    write_model(".", source)
    assert NativeSource(tmp_path / "here").specs == NativeSource(tmp_path / "empty").specs


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), WorkFailed),
        (CodeGeeXError("tensor x is damaged"), CodeGeeXError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (MemoryError(), MemoryError),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_failure_midway_leaves_nothing(error, raised, source, tmp_path, monkeypatch) -> None:
    read = source.read

    def failing(name: str) -> Any:
        if name == "final_layernorm.weight":
            raise error
        return read(name)

    monkeypatch.setattr(source, "read", failing)
    with pytest.raises(raised, match="No space left" if isinstance(error, OSError) else None):
        write_model(tmp_path / "model", source, max_file_bytes=2000)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["x" * 300, "file/model"], ids=["too long", "below a file"])
def test_a_place_that_cannot_be(name, source, tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WorkFailed, match="cannot write"):
        write_model(tmp_path / name, source)


def test_a_source_that_does_not_fit_its_config_is_not_written(source, tmp_path) -> None:
    del source.specs[MATRIX]
    with pytest.raises(CodeGeeXError, match=MATRIX):
        write_model(tmp_path / "model", source)
    assert not [*tmp_path.iterdir()]


# Int8.


def reference(weight: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Equation 5 of the paper, in float64 and one row at a time."""
    rows, scales = [], []
    for row in weight.astype(np.float64):
        scale = max(abs(value) for value in row.tolist()) / 127
        scales.append(scale)
        rows.append([round(value / scale) if scale else 0 for value in row.tolist()])
    return np.array(rows, dtype=np.int8), np.array(scales)


def check_quantized(weight: NDArray[Any], quantized: NDArray[np.int8], scales: NDArray[np.float32]) -> None:
    expected, expected_scales = reference(weight)
    np.testing.assert_allclose(scales, expected_scales, rtol=1e-6)
    # A quotient halfway between two levels may fall to either side in float32.
    different = quantized != expected
    with np.errstate(invalid="ignore", divide="ignore"):
        fraction = np.abs(weight.astype(np.float64) / expected_scales[:, None]) % 1
    np.testing.assert_allclose(fraction[different], 0.5, atol=1e-4)
    error = np.abs(weight.astype(np.float64) - quantized * scales.astype(np.float64)[:, None])
    assert (error <= scales[:, None] / 2 * (1 + 1e-4)).all()


@given(
    weight=arrays(
        "f4",
        array_shapes(min_dims=2, max_dims=2, max_side=12),
        elements=st.floats(2**-60, 2**60, width=32) | st.floats(-(2**10), -(2**-10), width=32) | st.just(0.0),
    )
)
def test_int8_is_equation_5(weight) -> None:
    check_quantized(weight, *quantize(weight))


@pytest.mark.parametrize("rows", [1, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, ROWS_AT_ONCE + 1])
def test_int8_over_blocks_of_rows(rows) -> None:
    weight = np.random.default_rng(rows).normal(size=(rows, 6)).astype("f4")
    check_quantized(weight, *quantize(weight))


def test_int8_of_half_precision(tmp_path) -> None:
    torch = pytest.importorskip("torch")
    weight = torch.randn(9, 17, generator=torch.Generator().manual_seed(1))
    for dtype, name in ((torch.float16, "F16"), (torch.bfloat16, "BF16")):
        rounded = weight.to(dtype)
        stored = rounded.view(torch.int16).numpy().view(DTYPES[name])
        check_quantized(rounded.float().numpy(), *quantize(stored, name))


@pytest.mark.filterwarnings("error")
def test_int8_of_zeros_and_of_the_largest_values() -> None:
    largest = np.float32(3e38)
    weight = np.array([[0, -0.0, 0], [largest, -largest, 1], [-5, 0, 0], [1e-30, 0, -1e-30]], dtype="f4")
    quantized, scales = quantize(weight)
    assert quantized.tolist() == [[0, 0, 0], [127, -127, 0], [-127, 0, 0], [127, 0, -127]]
    assert scales[0] == 0
    np.testing.assert_allclose(dequantize(quantized, scales), weight, rtol=1e-6, atol=largest / 250)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_int8_refuses_what_is_not_finite(value, source, tmp_path) -> None:
    source.tensors[MATRIX][3, 4] = value
    with pytest.raises(CodeGeeXError, match=f"tensor {MATRIX} holds values that are not finite"):
        write_model(tmp_path / "int8", Int8Source(source))
    assert not [*tmp_path.iterdir()]


def test_int8_directory(source, directory, tmp_path) -> None:
    """Matrices with scales beside them, everything else as it was, and config.json says so."""
    write_model(tmp_path / "int8", Int8Source(NativeSource(directory)))
    config = json.loads((tmp_path / "int8" / "config.json").read_text())
    assert config["quantization"] == {"method": "absmax", "bits": 8, "axis": "output"}
    found = safetensors.numpy.load_file(tmp_path / "int8" / SINGLE_FILE)
    linears = [name for name in source.tensors if is_linear_weight(name)]
    assert len(linears) == 6 * (CONFIG.num_layers + 1)
    assert set(found) == {*source.tensors, *map(scale_name, linears)}
    for name, array in source.tensors.items():
        if name in linears:
            check_quantized(array, found[name], found[scale_name(name)])
        else:
            np.testing.assert_array_equal(found[name], array)


def test_int8_in_any_order_of_reading(source) -> None:
    scale = Int8Source(source).read(scale_name(MATRIX))
    int8 = Int8Source(source)
    matrix = int8.read(MATRIX)
    for _ in range(2):
        np.testing.assert_array_equal(int8.read(scale_name(MATRIX)), scale)
    np.testing.assert_array_equal(matrix, quantize(source.tensors[MATRIX])[0])


def test_int8_twice_is_refused(directory, tmp_path) -> None:
    write_model(tmp_path / "int8", Int8Source(NativeSource(directory)))
    assert NativeSource(tmp_path / "int8").config.quantization == Quantization()
    with pytest.raises(CodeGeeXError, match="quantised already"):
        Int8Source(NativeSource(tmp_path / "int8"))


@pytest.mark.parametrize("lost", ["scale", "weight"])
def test_int8_without_its_scales_or_its_matrix(lost, source, tmp_path) -> None:
    int8: TensorSource = Int8Source(source)
    del int8.specs[MATRIX.replace("weight", lost)]
    with pytest.raises(CodeGeeXError, match=MATRIX.replace("weight", lost)):
        write_model(tmp_path / "int8", int8)


def test_int8_logits_are_those_of_the_dequantised_module(model, tmp_path) -> None:
    """The reference rounds the weights of the module itself, in float64."""
    torch = pytest.importorskip("torch")
    import copy

    import codegeex.model
    from codegeex.engine.numpy_backend import NumpyBackend
    from codegeex.model.loader import ModuleSource

    write_model(tmp_path / "int8", Int8Source(ModuleSource(model)))
    expected_model = copy.deepcopy(model)
    for name, parameter in expected_model.named_parameters():
        if is_linear_weight(name):
            quantized, scales = reference(parameter.detach().numpy())
            parameter.data = torch.from_numpy((quantized * scales[:, None]).astype("f4"))
    ids = torch.tensor([[3, 1, 47, 20, 5]])
    with torch.inference_mode():
        expected = expected_model(ids)
        torch.testing.assert_close(codegeex.model.load(tmp_path / "int8")(ids), expected, atol=1e-3, rtol=0)
        assert (expected - model(ids)).abs().max() > 1e-2  # int8 can be told from the original
    _, last = NumpyBackend(NativeSource(tmp_path / "int8")).prefill(ids[0].tolist())
    np.testing.assert_allclose(last, expected[0, -1], atol=1e-3, rtol=0)


# The command line.


def run(*arguments: Any) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert stop.value.code == 0


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_int8_straight_from_the_official_file(tmp_path, request) -> None:
    """The same bytes as by way of the native directory; `config.json` beside an official file does not confuse it."""
    pytest.importorskip("torch")
    released: Path = request.getfixturevalue("released")
    config = released.with_name("config.json")
    config.write_text('{"num_attention_heads": 4}')
    run("convert", "official", released, tmp_path / "native", "--config", config)
    run("convert", "int8", tmp_path / "native", tmp_path / "by-way")
    run("convert", "int8", released, tmp_path / "straight", "--config", config)
    run("convert", "int8", released.parent, tmp_path / "from-directory", "--config", config)
    assert files(tmp_path / "straight") == files(tmp_path / "by-way") == files(tmp_path / "from-directory")


def test_convert_carries_the_tokenizer(tiny_directory, tiny_tokenizer: Tokenizer, tmp_path, capsys) -> None:
    run("convert", "int8", tiny_directory, tmp_path / "int8", "--json")
    printed = json.loads(capsys.readouterr().out)
    assert printed["parameters"] == ModelConfig.load(tmp_path / "int8").num_parameters
    assert printed["config"]["quantization"]["bits"] == 8
    tokenizer = (tmp_path / "int8" / "tokenizer.json").read_bytes()
    assert tokenizer == (tiny_directory / "tokenizer.json").read_bytes()


def test_convert_refuses_a_tokenizer_larger_than_the_model(directory, tiny_directory, tmp_path, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["convert", "int8", str(directory), str(tmp_path / "int8"), "--tokenizer", str(tiny_directory)])
    assert stop.value.code == 2
    assert "400 ids, the model only 24" in capsys.readouterr().err
    assert not (tmp_path / "int8").exists()


# Names and sizes.


@pytest.mark.parametrize("name", [*PRESETS, "odd"])
def test_tensor_shapes_are_those_of_the_module(name) -> None:
    torch = pytest.importorskip("torch")
    from codegeex.model import CodeGeeX

    config = PRESETS.get(name) or ModelConfig(24, 0, 3, 7, max_position_embeddings=5, ffn_hidden_size=11)
    with torch.device("meta"):
        module = CodeGeeX(config)
    assert tensor_shapes(config) == {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    assert config.num_parameters == sum(parameter.numel() for parameter in module.parameters())


def test_the_13b_model_has_the_paper_s_number_of_parameters() -> None:
    """And the released file's 645 tensors, 240 of them matrices (facts of the original, 1.8, 2.1 and 6.2)."""
    shapes = tensor_shapes(PRESETS["13b"])
    assert PRESETS["13b"].num_parameters == sum(int(np.prod(shape)) for shape in shapes.values()) == 12_873_943_040
    assert len(shapes) == 645
    assert sum(map(is_linear_weight, shapes)) == 240


# Memory.


def resident_bytes(path: Path) -> int:
    """Bytes of this process's memory that are pages of a mapped file."""
    found, mine = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            mine = line.endswith(str(path))
        elif mine and line.startswith("Rss:"):
            found += int(line.split()[1]) * 1024
    return found


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="asks Linux")
def test_released_pages_leave_memory_and_can_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    values = np.arange(3_000_001, dtype="f4")
    write_safetensors(path, {"first": ("F32", values), "second": ("F32", values[::-1])})
    file = SafetensorsFile(path)
    first, second = file.read("first"), file.read("second")
    assert first.sum() == second.sum()
    assert resident_bytes(path) >= 2 * values.nbytes
    release_pages(first)
    assert resident_bytes(path) <= values.nbytes + (1 << 20)
    release_pages(second[:0])
    release_pages(second)
    assert resident_bytes(path) <= 1 << 20
    np.testing.assert_array_equal(first, values)
    np.testing.assert_array_equal(second, values[::-1])


def test_arrays_of_other_origin_are_not_released(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(10_000))
    copied = np.memmap(tmp_path / "file", mode="c")
    copied[:] = 7
    for values in (copied, np.ones(10_000)):
        before = values.copy()
        release_pages(values)
        np.testing.assert_array_equal(values, before)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="asks Linux")
@pytest.mark.parametrize("quantized", [False, True])
def test_a_loaded_native_engine_keeps_no_file_pages(tmp_path: Path, quantized: bool) -> None:
    native = pytest.importorskip("codegeex.engine.native_backend")
    config = ModelConfig(hidden_size=512, num_layers=2, num_attention_heads=4, vocab_size=3000)
    rng = np.random.default_rng(5)
    shapes = tensor_shapes(config).items()
    source: TensorSource = ArraySource({name: rng.normal(size=shape).astype("f2") for name, shape in shapes}, config)
    write_model(tmp_path / "model", Int8Source(source) if quantized else source)
    backend = native.NativeBackend(NativeSource(tmp_path / "model"), threads=1)
    backend.prefill([1, 2, 3])
    assert resident_bytes(tmp_path / "model" / SINGLE_FILE) < 4 << 20  # of 20 or 38 MB
