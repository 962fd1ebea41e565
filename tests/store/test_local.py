"""What is on the disk already: each tool's layout, hostile manifests, twins, and where was looked."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from tests.store.conftest import files_below
from tests.stubs.hub import gguf_bytes

from bringup.errors import WrongUse
from bringup.machine import tree
from bringup.machine.folders import Folders
from bringup.store.duplicates import Sameness, find_duplicates
from bringup.store.local import damaged_files, find_unfinished, list_models, survey
from bringup.store.names import parse_name
from bringup.store.records import Origin, origin_path, write_record
from bringup.store.removal import remove_model
from bringup.store.resolve import find_local

MODEL_LAYER = "application/vnd.ollama.image.model"


def put(path: Path, data: bytes = b"GGUF") -> Path:
    """A file and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def put_in_hub_cache(root: Path, repo: str, file: str, data: bytes, revision: str = "r1") -> Path:
    """As the hub's library lays it out: a link in a snapshot to a blob named by its hash."""
    folder = root / f"models--{repo.replace('/', '--')}"
    blob = put(folder / "blobs" / hashlib.sha256(data).hexdigest(), data)
    link = folder / "snapshots" / revision / file
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(os.path.relpath(blob, link.parent))
    return link


def put_in_ollama(root: Path, model: str, tag: str, data: bytes, digest: str | None = None) -> Path:
    """A manifest and its blob."""
    found = hashlib.sha256(data).hexdigest()
    layers = [
        {"mediaType": "application/vnd.ollama.image.license", "digest": "sha256:" + "0" * 64},
        {"mediaType": MODEL_LAYER, "digest": digest or f"sha256:{found}", "size": len(data)},
    ]
    put(root / "manifests" / model / tag, json.dumps({"schemaVersion": 2, "layers": layers}).encode())
    return put(root / "blobs" / f"sha256-{found}", data)


def local_path(text: str, folders: Folders) -> str | None:
    """Where a typed name leads on this disk."""
    found = find_local(parse_name(text), folders)
    return found.paths[0] if found else None


def test_each_tools_models_are_found_in_place(folders: Folders, own_home: Path) -> None:
    hub = put_in_hub_cache(own_home / ".cache/huggingface/hub", "u/Hub-GGUF", "Hub-Q4_K_M.gguf", b"GGUF hub")
    llama = put(own_home / ".cache/llama.cpp/u_Llama-GGUF_Llama-Q8_0.gguf")
    ollama = put_in_ollama(
        own_home / ".ollama/models", "registry.ollama.ai/library/qwen3", "4b", b"GGUF ollama"
    )
    studio = put(own_home / ".lmstudio/models/u/Studio-GGUF/Studio-Q4_0.gguf")
    ours = put(Path(folders.models) / "u/Ours-GGUF/Ours-Q4_0.gguf")
    before = files_below(own_home)
    for text, path in (
        ("u/Hub-GGUF", hub),
        ("U/hub-gguf:q4_k_m", hub),
        ("u/Hub-GGUF/Hub-Q4_K_M.gguf", hub),
        ("u/Llama-GGUF:Q8_0", llama),
        ("u/Llama-GGUF:Llama-Q8_0.gguf", llama),
        ("ollama:qwen3:4b", ollama),
        ("ollama:registry.ollama.ai/library/qwen3:4b", ollama),
        ("u/Studio-GGUF", studio),
        ("u/Ours-GGUF:Q4_0", ours),
        (str(studio), studio),
    ):
        assert local_path(text, folders) == str(path), text
    for text in (
        "u/Hub-GGUF:Q8_0",
        "u/Other",
        "ollama:qwen3",
        "u/Llama-GGUF:Q4_K_M",
        str(own_home / "no.gguf"),
    ):
        assert local_path(text, folders) is None, text
    assert files_below(own_home) == before, "looking copies and changes nothing"


def test_every_listed_name_can_be_typed_to_get_the_same_model(folders: Folders, own_home: Path) -> None:
    put_in_hub_cache(own_home / ".cache/huggingface/hub", "u/Hub-GGUF", "sub/Hub-Q4_K_M.gguf", b"GGUF hub")
    put_in_ollama(own_home / ".ollama/models", "hf.co/u/repo", "Q4", b"GGUF 1")
    put_in_ollama(own_home / ".ollama/models", "registry.ollama.ai/me/own", "latest", b"GGUF 2")
    put(own_home / ".lmstudio/models/u/Studio-GGUF/Studio-Q4_0.gguf")
    for index in (1, 2):
        put(Path(folders.models) / f"u/Split-GGUF/S-Q4_0-0000{index}-of-00002.gguf")
    models = list_models(folders)
    assert len(models) == 5
    for model in models:
        assert find_local(parse_name(model.name), folders) == model


@pytest.mark.parametrize("variable", ["HF_HOME", "HF_HUB_CACHE", "LLAMA_CACHE", "OLLAMA_MODELS"])
def test_other_tools_variables_are_followed(
    variable: str, folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "elsewhere"
    monkeypatch.setenv(variable, str(root))
    if variable == "OLLAMA_MODELS":
        put_in_ollama(root, "registry.ollama.ai/library/m", "latest", b"GGUF")
    else:
        put_in_hub_cache(root / ("hub" if variable == "HF_HOME" else ""), "u/R-GGUF", "R-Q4_0.gguf", b"GGUF")
    (model,) = list_models(folders)
    assert model.paths[0].startswith(str(root))


@pytest.mark.parametrize(
    "digest",
    [
        "sha256:../../../../secret.gguf",
        "sha256:" + "a" * 63 + "/",
        "sha256:" + "A" * 64,
        "md5:" + "a" * 64,
        "",
        "sha256:" + "a" * 64 + "\n",
    ],
)
def test_a_digest_becomes_a_path_only_when_it_is_one(digest: str, folders: Folders, own_home: Path) -> None:
    root = own_home / ".ollama/models"
    put(own_home / "secret.gguf")
    put_in_ollama(root, "registry.ollama.ai/library/evil", "latest", b"GGUF", digest=digest or "x")
    assert list_models(folders) == ()


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"layers": 3}', '{"layers": [3, {"mediaType": null}]}', "[" * 100_000, "\xff\x00"],
)
def test_a_shapeless_manifest_is_passed_over(text: str, folders: Folders, own_home: Path) -> None:
    root = own_home / ".ollama/models"
    put(root / "manifests/registry.ollama.ai/library/bad/latest", text.encode("latin-1"))
    put_in_ollama(root, "registry.ollama.ai/library/good", "latest", b"GGUF")
    assert [model.name for model in list_models(folders)] == ["ollama:good:latest"]


def test_a_snapshot_link_that_leaves_its_repository_is_not_followed(folders: Folders, own_home: Path) -> None:
    link = put_in_hub_cache(own_home / ".cache/huggingface/hub", "u/R-GGUF", "R-Q4_0.gguf", b"GGUF")
    link.unlink()
    link.symlink_to(put(own_home / "private.gguf"))
    assert list_models(folders) == ()


def test_half_and_broken_things_are_no_models(folders: Folders, own_home: Path) -> None:
    hub = own_home / ".cache/huggingface/hub"
    put(hub / "models--u--R-GGUF/blobs/abc.incomplete")
    (hub / "models--u--R-GGUF/snapshots/r1").mkdir(parents=True)
    (hub / "models--u--R-GGUF/snapshots/r1/R-Q4_0.gguf").symlink_to("../../blobs/gone")
    put(own_home / ".lmstudio/models/u/S-GGUF/S-Q4_0-00001-of-00002.gguf")
    put(Path(folders.models) / "u/P-GGUF/.P-Q4_0.gguf.1-1-00000000.partial/data")
    assert list_models(folders) == ()


def test_a_loop_of_links_ends(folders: Folders, own_home: Path) -> None:
    root = own_home / ".lmstudio/models/u/S-GGUF"
    put(root / "S-Q4_0.gguf")
    (root / "loop").symlink_to(own_home / ".lmstudio/models")
    assert "u/S-GGUF/S-Q4_0.gguf" in [model.name for model in list_models(folders)]


def test_the_survey_says_where_it_looked_and_where_it_could_not(folders: Folders, own_home: Path) -> None:
    put(own_home / ".lmstudio/models/u/S-GGUF/S-Q4_0.gguf")
    (own_home / ".ollama").mkdir()
    (own_home / ".ollama/models").symlink_to(own_home / ".ollama/models")  # a look that fails: too many links
    why = {place.path: place.why for place in survey(folders).places}
    assert why[str(own_home / ".lmstudio/models")] == ""
    assert why[str(own_home / ".cache/huggingface/hub")] == "not there"
    assert why[str(own_home / ".ollama/models")] not in ("", "not there")


def test_what_was_written_to_since_is_no_twin_by_its_old_hash(folders: Folders) -> None:
    data = gguf_bytes(2_000)
    for number in (1, 2):
        path = put(Path(folders.models) / f"u/R{number}-GGUF/R-Q4_0.gguf", data)
        record = origin_path(str(path))
        digest = hashlib.sha256(data).hexdigest()
        write_record(record, Origin(path.name, "http://h/x", len(data), digest, True, path.stat().st_mtime))
    assert [pair.sameness for pair in find_duplicates(list_models(folders))] == [Sameness.HASH]
    path.write_bytes(bytes(data[:-1]) + b"!")
    os.utime(path, (1, 1))
    assert find_duplicates(list_models(folders)) == ()


def test_twins_are_told_with_their_reason(folders: Folders, own_home: Path) -> None:
    data = gguf_bytes(300_000)
    hub = put_in_hub_cache(own_home / ".cache/huggingface/hub", "u/R-GGUF", "R-Q4_0.gguf", data)
    put_in_ollama(own_home / ".ollama/models", "registry.ollama.ai/library/r", "latest", data)
    studio = put(own_home / ".lmstudio/models/u/R-GGUF/R-Q4_0.gguf", data)
    linked = own_home / ".cache/llama.cpp/u_R-GGUF_R-Q4_0.gguf"
    linked.parent.mkdir(parents=True)
    os.link(studio, linked)
    other = bytearray(data)
    other[150_000] ^= 1
    put(own_home / ".lmstudio/models/u/Other-GGUF/O-Q4_0.gguf", bytes(other))
    found = {(pair.sameness, pair.lost_bytes) for pair in find_duplicates(list_models(folders))}
    assert found == {(Sameness.HASH, len(data)), (Sameness.SAMPLES, len(data))}
    files = {pair.first.paths[0] for pair in find_duplicates(list_models(folders))}
    assert files == {str(hub)}
    only_linked = tuple(m for m in list_models(folders) if m.paths[0] in (str(studio), str(linked)))
    assert [pair.sameness for pair in find_duplicates(only_linked)] == [Sameness.FILE]


def test_models_of_equal_size_and_other_bytes_are_no_twins(folders: Folders, own_home: Path) -> None:
    put(own_home / ".lmstudio/models/u/A-GGUF/A-Q4_0.gguf", gguf_bytes(300_000, 1))
    put(own_home / ".lmstudio/models/u/B-GGUF/B-Q4_0.gguf", gguf_bytes(300_000, 2))
    assert find_duplicates(list_models(folders)) == ()


def test_only_ours_can_be_removed(folders: Folders, own_home: Path) -> None:
    studio = put(own_home / ".lmstudio/models/u/S-GGUF/S-Q4_0.gguf")
    ours = put(Path(folders.models) / "u/O-GGUF/O-Q4_0.gguf")
    foreign, own = (find_local(parse_name(text), folders) for text in ("u/S-GGUF", "u/O-GGUF"))
    assert foreign is not None and own is not None
    with pytest.raises(WrongUse) as caught:
        remove_model(foreign, folders)
    assert caught.value.reference == "not-ours"
    assert studio.exists()
    assert remove_model(own, folders) == 4
    assert not ours.exists()
    assert files_below(folders.cache) == []


def test_a_model_of_ours_that_changed_its_size_is_damaged_and_not_used(folders: Folders) -> None:
    path = put(Path(folders.models) / "u/O-GGUF/O-Q4_0.gguf", b"GGUF whole")
    origin = {"schema": 1, "name": "u/O-GGUF/O-Q4_0.gguf", "address": "https://h/o", "size_bytes": 10}
    record = path.parent / f".{path.name}.origin.json"
    record.write_text(json.dumps({**origin, "sha256": "0" * 64, "verified": True}))
    (model,) = list_models(folders)
    assert model.is_verified and damaged_files(folders) == ()
    path.write_bytes(b"GGUF")
    assert list_models(folders) == ()
    assert damaged_files(folders) == (str(path),)


def test_unfinished_transfers_are_listed_also_without_a_record(folders: Folders) -> None:
    put(Path(folders.models) / "u/P-GGUF/.P-Q4_0.gguf.1-1-0123abcd.partial/data", b"12345")
    (one,) = find_unfinished(folders)
    assert (one.name, one.done_bytes, one.size_bytes, one.in_use_by_pid) == ("P-Q4_0.gguf", 5, None, None)


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(folders: Folders, tmp_path: Path) -> None:
    root = Path(tempfile.mkdtemp())  # not below pytest's own folder, which another user cannot enter
    root.chmod(0o755)
    hidden = put(root / "manifests/registry.ollama.ai/library/m/latest").parent
    hidden.chmod(0o000)
    other_user = 65534
    was_root = os.geteuid() == 0
    try:
        if was_root:
            os.seteuid(other_user)
        troubles = tree.unreadable_below(str(root), depth=6)
    finally:
        if was_root:
            os.seteuid(0)
        hidden.chmod(0o755)
        shutil.rmtree(root)
    assert troubles == (f"{hidden}: Permission denied",)
