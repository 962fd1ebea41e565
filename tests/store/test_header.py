"""Models from the disk: each kind of bad file has its own error, and an unchanged file is not read twice."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest
from tests.model.writing import ARRAY, STRING, Array, Pair, TensorSpec, build, gpt_oss_20b, tiny_llama

from bringup.errors import FileTrouble, ModelFileError
from bringup.machine import tree
from bringup.machine.folders import our_folders
from bringup.model.gguf import GgufHeader
from bringup.model.values import ArrayValue, ValueType
from bringup.store import header_index
from bringup.store.header import FileSource, load_header, load_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tiny_llama().data)
    return path


def index_files() -> list[Path]:
    return sorted(Path(our_folders().header_index).glob("*.header"))


def same(one: GgufHeader, other: GgufHeader) -> bool:
    """Whether two headers hold the same, values of all keys included."""
    fields = ("name", "version", "byte_order", "alignment", "tensors", "data_offset", "file_size_bytes")
    return all(getattr(one, name) == getattr(other, name) for name in fields) and (
        one.metadata.entries() == other.metadata.entries()
    )


def bad_files() -> list[tuple[str, bytes, str]]:
    built = tiny_llama()
    return [
        ("empty", b"", "empty-file"),
        ("cut in the weights", bytes(built.data[:-5000]), "gguf-cut-short"),
        ("cut in the header", bytes(built.data[:3000]), "gguf-cut-short"),
        ("cut in the first bytes", b"GGUF", "gguf-cut-short"),
        ("a web page", b"<!DOCTYPE html><html></html>", "html-page"),
        (
            "a pointer",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 5\n" % 0,
            "lfs-pointer",
        ),
        ("one part of two", bytes(build([("split.count", ValueType.UINT16, 2)]).data), "missing-shard"),
    ]


@pytest.mark.parametrize(
    ("name", "data", "reference"), bad_files(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_bad_file_is_told_for_what_it_is(tmp_path: Path, name: str, data: bytes, reference: str) -> None:
    path = tmp_path / f"{name}.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelFileError) as told:
        load_model(str(path))
    assert told.value.reference == reference
    assert str(path) in told.value.message
    assert told.value.hint


def test_a_cut_file_says_how_many_bytes_are_missing_and_can_be_looked_at(tmp_path: Path) -> None:
    built = tiny_llama()
    path = tmp_path / "cut.gguf"
    path.write_bytes(built.data[:-4097])
    with pytest.raises(ModelFileError, match="4,097 of "):
        load_model(str(path))
    assert load_model(str(path), allow_cut_short=True).missing_bytes == 4097


def test_a_folder_names_the_models_in_it(model: Path) -> None:
    with pytest.raises(ModelFileError) as told:
        load_model(str(model.parent))
    assert told.value.reference == "is-a-folder"
    assert told.value.context == (str(model),)


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(ModelFileError) as told:
        load_model(str(tmp_path / "pipe.gguf"))
    assert told.value.reference == "not-a-file"


def test_what_is_not_there_or_not_ours_to_read_is_told(tmp_path: Path, model: Path) -> None:
    with pytest.raises(FileTrouble, match="No such file"):
        load_model(str(tmp_path / "nowhere.gguf"))
    (tmp_path / "circle.gguf").symlink_to(tmp_path / "circle.gguf")
    with pytest.raises(FileTrouble, match="symbolic links"):
        load_model(str(tmp_path / "circle.gguf"))
    if os.geteuid() == 0:  # root reads everything: give the rights up in a child
        pid = os.fork()
        if pid == 0:
            os.setuid(65_534)
            os._exit(_refused(model))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    else:
        assert _refused(model) == 0


def _refused(model: Path) -> int:
    """0 when a file without rights gives the error for it."""
    if os.geteuid() != 65_534:
        model.chmod(0)
    try:
        load_model(str(model))
    except FileTrouble as problem:
        return 0 if "Permission denied" in problem.message and problem.hint else 1
    return 2


def test_parts_that_are_missing_are_named(tmp_path: Path) -> None:
    def part(number: int) -> bytes:
        pairs: list[Pair] = [("split.no", ValueType.UINT16, number), ("split.count", ValueType.UINT16, 3)]
        return bytes(build(pairs, [TensorSpec(f"t{number}", (32,))]).data)

    names = [tmp_path / f"m-{number:05d}-of-00003.gguf" for number in (1, 2, 3)]
    names[0].write_bytes(part(0))
    names[2].write_bytes(part(2))
    for known in (names[0], names[2]):
        with pytest.raises(ModelFileError) as told:
            load_model(str(known))
        assert told.value.context == ("missing: m-00002-of-00003.gguf",)
    names[1].write_bytes(part(1))
    whole = load_model(str(names[1]))
    assert [header.name for header in whole.headers] == [str(name) for name in names]
    assert load_model(tuple(str(name) for name in names)).weights_bytes == whole.weights_bytes == 3 * 128


def test_a_second_look_gives_the_same_header_without_reading(model: Path) -> None:
    folder = our_folders().header_index
    first = load_header(str(model), index_folder=folder)
    damaged = bytearray(model.read_bytes())
    damaged[:4] = b"XXXX"
    moment = model.stat()
    with model.open("r+b") as handle:
        handle.write(damaged[:4])
    os.utime(model, ns=(moment.st_atime_ns, moment.st_mtime_ns))
    second = load_header(str(model), index_folder=folder)  # by its identity nothing has changed
    assert same(first, second)


def test_a_changed_file_is_read_again(model: Path) -> None:
    folder = our_folders().header_index
    load_header(str(model), index_folder=folder)
    for changed in (tiny_llama(**{"general.name": (STRING, "other")}).data, tiny_llama().data + b"\0"):
        model.write_bytes(changed)
        assert load_header(str(model), index_folder=folder).file_size_bytes == len(changed)
    assert len(index_files()) == 1  # one record a file, whatever its history


def test_large_values_come_from_the_file_and_small_ones_from_the_index(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    texts = [f"token{number}" for number in range(20_000)]
    path.write_bytes(
        build([("many", ARRAY, Array(STRING, texts)), ("few", ARRAY, Array(STRING, ["a"]))]).data
    )
    for _ in range(2):
        metadata = load_model(str(path)).metadata
        many, few = metadata["many"], metadata["few"]
        assert isinstance(many, ArrayValue)
        assert isinstance(few, ArrayValue)
        assert many.kept is None
        assert many.strings() == tuple(texts)
        assert few.strings() == ("a",)
    assert index_files()[0].stat().st_size < 10_000


def test_the_index_is_private_and_any_flaw_makes_it_read_anew(model: Path) -> None:
    folder = our_folders().header_index
    first = load_header(str(model), index_folder=folder)
    (record,) = index_files()
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    whole = record.read_bytes()
    for place in range(0, len(whole), 97):
        flipped = bytearray(whole)
        flipped[place] ^= 0x40
        record.write_bytes(flipped)
        assert header_index.load(folder, _identity(model), _source(model)) is None
    for cut in (0, 1, 30, len(whole) // 2, len(whole) - 1):
        record.write_bytes(whole[:cut])
        assert header_index.load(folder, _identity(model), _source(model)) is None
    assert same(load_header(str(model), index_folder=folder), first)
    assert record.read_bytes() == whole  # written anew


def _identity(path: Path) -> tree.Entry:
    entry = tree.look_at(str(path))
    assert entry is not None
    return entry


def _source(path: Path) -> FileSource:
    return FileSource(str(path), path.stat().st_size)


def test_a_cache_that_cannot_be_written_is_no_trouble(model: Path) -> None:
    folder = Path(our_folders().header_index)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("not a folder")
    assert load_model(str(model)).missing_bytes == 0


def test_the_index_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header_index, "_FILES_LIMIT", 5)
    for number in range(9):
        path = tmp_path / f"{number}.gguf"
        path.write_bytes(tiny_llama().data)
        load_model(str(path))
    assert len(index_files()) == 5


def test_a_second_look_at_a_large_header_takes_under_5_ms(tmp_path: Path) -> None:
    path = tmp_path / "gpt-oss-20b.gguf"
    path.write_bytes(gpt_oss_20b().data)
    load_model(str(path), allow_cut_short=True)
    best = min(_duration_s(path) for _ in range(5))
    assert best < 0.005


def _duration_s(path: Path) -> float:
    started = time.thread_time()
    load_model(str(path), allow_cut_short=True)
    return time.thread_time() - started
