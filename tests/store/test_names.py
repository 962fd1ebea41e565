"""Names as people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.errors import WrongUse
from bringup.machine import paths
from bringup.store.catalogue import catalogue, entry_of_file, look_up
from bringup.store.names import HubName, LocalPath, Name, OllamaName, ShortName, Url, parse_name


def parse(text: str) -> Name:
    """Parse where no path exists."""
    return parse_name(text, path_exists=lambda _: False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("user/repo", HubName("user/repo")),
        ("user/repo:Q4_K_M", HubName("user/repo", "Q4_K_M")),
        ("user/repo:file-Q8_0.gguf", HubName("user/repo", None, "file-Q8_0.gguf")),
        ("user/repo/file.gguf", HubName("user/repo", None, "file.gguf")),
        (
            "user/repo/BF16/file-00001-of-00002.gguf",
            HubName("user/repo", None, "BF16/file-00001-of-00002.gguf"),
        ),
        ("hf:user/repo", HubName("user/repo")),
        ("hf://user/repo:q8_0", HubName("user/repo", "q8_0")),
        ("hf://user/repo@v1.0/file.gguf", HubName("user/repo", None, "file.gguf", "v1.0")),
        ("hf.co/user/repo:Q4_0", HubName("user/repo", "Q4_0")),
        ("huggingface.co/user/repo", HubName("user/repo")),
        ("https://huggingface.co/user/repo", HubName("user/repo")),
        ("https://huggingface.co/user/repo/", HubName("user/repo")),
        ("https://huggingface.co/user/repo/tree/main", HubName("user/repo")),
        ("https://huggingface.co/user/repo/blob/main/a/b.gguf", HubName("user/repo", None, "a/b.gguf")),
        (
            "https://hf.co/user/repo/resolve/abc/b.gguf?download=true",
            HubName("user/repo", None, "b.gguf", "abc"),
        ),
        ("https://huggingface.co/user/repo?show_file_info=b.gguf", HubName("user/repo", None, "b.gguf")),
        ("https://example.org/m/x.gguf?sig=1#top", Url("https://example.org/m/x.gguf?sig=1")),
        ("http://nas.local:8000/x.GGUF", Url("http://nas.local:8000/x.GGUF")),
        ("ollama:qwen3", OllamaName("registry.ollama.ai/library/qwen3", "latest")),
        ("ollama:qwen3:4b", OllamaName("registry.ollama.ai/library/qwen3", "4b")),
        ("ollama:me/own:v1", OllamaName("registry.ollama.ai/me/own", "v1")),
        ("ollama:hf.co/user/repo:Q4_K_M", OllamaName("hf.co/user/repo", "Q4_K_M")),
        ("Qwen3-4B", ShortName("qwen3-4b")),
        ("qwen3:4b", ShortName("qwen3", "4b")),
        ("/models/x.gguf", LocalPath("/models/x.gguf")),
        ("/models/../x.gguf", LocalPath("/x.gguf")),
        ("file:///models/x.gguf", LocalPath("/models/x.gguf")),
    ],
)
def test_a_name_is_read_as_meant(text: str, expected: Name) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize("text", ["model.gguf", "folder/model.gguf", "./m", "~/m.gguf", ".."])
def test_what_looks_like_a_path_is_one(text: str) -> None:
    assert parse(text) == LocalPath(paths.absolute(text))


@pytest.mark.parametrize(
    "name",
    ["caf\udce9.gguf", "safe\u202egpj.gguf", "two\nlines", "\x1b[31m", " tail ", "ollama:x", "x" * 3000],
)
def test_no_file_of_the_user_s_own_is_refused_for_its_name(name: str) -> None:
    assert parse_name(name, path_exists=lambda _: True) == LocalPath(paths.absolute(name))
    assert parse(f"./{name}") == LocalPath(paths.absolute(name))


def test_an_existing_path_wins_over_a_repository_of_the_same_name() -> None:
    assert parse_name("user/repo", path_exists=lambda _: True) == LocalPath(paths.absolute("user/repo"))
    assert parse_name("user/repo", path_exists=lambda _: False) == HubName("user/repo")


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("", "bad-model-name"),
        ("two\nlines", "bad-model-name"),
        ("\x1b[31mred", "bad-model-name"),
        ("user/repo:", None),
        ("../repo/../../x:Q4", None),
        ("user/..:Q4", "bad-model-name"),
        ("us er/repo", "bad-model-name"),
        ("user/repo@", "bad-model-name"),
        ("hf:justone", "bad-model-name"),
        ("user/repo@../x/y.gguf", "bad-model-name"),
        ("user/repo@a..b", "bad-model-name"),
        ("user/repo/../../../etc/passwd.gguf", "bad-model-name"),
        ("user/repo/a\\b.gguf", "bad-model-name"),
        ("user/repo/model.safetensors", "not-a-gguf-name"),
        ("https://huggingface.co/user/repo/blob/main/x.bin", "not-a-gguf-name"),
        ("https://example.org/x.zip", "not-a-gguf-name"),
        ("https://me:secret@example.org/x.gguf", "credentials-in-address"),
        ("https:///x.gguf", "bad-model-name"),
        ("https://[::1/x.gguf", "bad-model-name"),
        ("ollama:", "bad-model-name"),
        ("ollama:../../x:y", "bad-model-name"),
        ("ollama:a/../b", "bad-model-name"),
        ("user/repo:Q4/../..", "bad-model-name"),
        ("x" * 3000, "bad-model-name"),
    ],
)
def test_what_is_no_name_is_refused_in_words(text: str, reference: str | None) -> None:
    if reference is None:
        assert isinstance(parse(text), HubName | LocalPath)
        return
    with pytest.raises(WrongUse) as caught:
        parse(text)
    assert caught.value.reference == reference
    assert "secret" not in str(caught.value.message)


@given(st.text(max_size=60))
def test_any_text_gives_a_name_or_words(text: str) -> None:
    try:
        name = parse(text)
    except WrongUse as problem:
        assert problem.message
        return
    if isinstance(name, HubName):
        assert ".." not in name.repo and name.repo.count("/") == 1
        assert name.filename is None or paths.is_safe_relative(name.filename)


def test_every_catalogue_entry_is_found_by_each_of_its_names() -> None:
    names = [name for entry in catalogue() for name in (entry.name, *entry.aliases)]
    assert len(names) == len(set(names))
    for entry in catalogue():
        for name in (entry.name, *entry.aliases):
            parsed = parse(name)
            assert isinstance(parsed, ShortName)
            assert look_up(parsed)[0] is entry
        assert entry.file or entry.quant
        assert isinstance(parse(entry.repo), HubName)
        assert entry.sha256 is None or len(entry.sha256) == 64


def test_a_quantisation_after_a_short_name_overrides_the_entry() -> None:
    assert look_up(ShortName("gpt-oss-20b", "Q8_0"))[1] == HubName("ggml-org/gpt-oss-20b-GGUF", "Q8_0")
    assert look_up(ShortName("qwen3", "4b"))[0].name == "qwen3-4b"


def test_an_unknown_short_name_lists_the_nearest() -> None:
    with pytest.raises(WrongUse) as caught:
        look_up(ShortName("qwen3-4bb"))
    assert "qwen3-4b" in caught.value.context[0]


def test_a_catalogued_file_is_known_by_its_name_wherever_it_lies() -> None:
    entry = entry_of_file("SmolLM2-135M-Instruct.Q4_1.gguf")
    assert entry is not None
    assert (entry.name, entry.temperature, entry.top_p) == ("smollm2-135m", 0.2, 0.9)
    assert entry_of_file("some-other.gguf") is None
