"""A command that is shown can be copied: a shell reads the same bytes."""

from __future__ import annotations

import os
import subprocess

import pytest

from bringup.actions.running.preparation import alias_of
from bringup.faces.render.clean import clean
from bringup.faces.render.shell_words import shell_line, shell_word
from bringup.store.local import LocalModel, OriginKind

NAMES = [
    *("model.gguf", "sp ace.gguf", "it's.gguf", "$(id).gguf", "模型.gguf", "-dash"),
    *("caf\udce9.gguf", "two\nlines", "\x1b[31mred", "safe\u202egpj", "a\\b\udcff'c\t", "\udcff7"),
]


@pytest.mark.parametrize("name", NAMES)
def test_bash_reads_the_same_bytes(name: str) -> None:
    shown = shell_word(name)
    assert clean(shown) == shown
    assert "\n" not in shown
    script = f"printf %s {shown}" if not name.startswith("-") else f"printf %s x{shown}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True, timeout=30)
    assert done.stdout.removeprefix(b"x" if name.startswith("-") else b"") == os.fsencode(name)


def test_plain_words_are_as_they_always_were() -> None:
    assert shell_line(["llama-server", "--model", "/a b/m.gguf"]) == "llama-server --model '/a b/m.gguf'"


@pytest.mark.parametrize("name", NAMES)
def test_a_models_name_for_the_api_is_text(name: str) -> None:
    model = LocalModel(f"/a/{name}", (f"/a/{name}",), 1, OriginKind.PATH)
    assert alias_of(model).isprintable()
    alias_of(model).encode()
