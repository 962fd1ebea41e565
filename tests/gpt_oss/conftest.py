"""gpt-oss without its weights: true template, true vocabulary, two layers; the real engine runs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from tests.serve.conftest import Served, serve_in_front
from tests.stubs.command_line import Home
from tests.stubs.ports import free_port
from tools.gpt_oss import RANKS, SMALL, TEMPLATE, write_model

from bringup.engine.answers import EngineInfo
from bringup.engine.api import EngineApi
from bringup.engine.build import EngineBuild, EngineKind
from bringup.engine.command import EngineSettings
from bringup.engine.environment import clean_environment
from bringup.engine.start import start_engine
from bringup.machine import scratch
from bringup.model.tokenizer_copy import copy_tokenizer
from bringup.store.header import load_model


@pytest.fixture(scope="session")
def served(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`bringup serve` with the small model."""
    home = Home(tmp_path_factory.mktemp("served"))
    with serve_in_front(home, str(small_model), "--port", str(free_port())) as running:
        yield running


NO_MATERIALS = "no gpt-oss vocabulary or template: python -m tools.materials .cache"
EMBEDDED = EngineBuild(EngineKind.EMBEDDED, "", "", "Python package")

ServeModel = Callable[..., AbstractContextManager[tuple[EngineApi, EngineInfo]]]


@pytest.fixture(scope="session")
def materials() -> Path:
    """The folder that `tools.materials` fills."""
    folder = Path(__file__).parents[2] / ".cache"
    if not (folder / RANKS).exists() or not (folder / TEMPLATE).exists():
        pytest.skip(NO_MATERIALS)
    return folder


@pytest.fixture(scope="session")
def made(materials: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a small gpt-oss: random weights, or one that answers with given tokens."""
    folder = tmp_path_factory.mktemp("gpt-oss")

    def make(name: str, says: Sequence[bytes] = ()) -> Path:
        path = folder / f"{name}.gguf"
        if not path.exists():
            write_model(materials, path, SMALL, says)
        return path

    return make


@pytest.fixture
def serve(tmp_path: Path) -> ServeModel:
    """Runs the embedded engine on a file while the block lasts."""

    @contextmanager
    def serving(path: Path, **settings: object) -> Iterator[tuple[EngineApi, EngineInfo]]:
        wanted = EngineSettings(
            model_path=str(path),
            alias="gpt-oss",
            port=free_port(),
            n_ctx=1024,
            cache_ram_mib=0,
            fits_itself=False,
            **settings,  # type: ignore[arg-type]
        )
        variables = clean_environment(os.environ, is_external=False).variables
        log = str(tmp_path / "engine.log")
        with start_engine(EMBEDDED, wanted, log_path=log, environment=variables) as engine:
            yield engine.api(timeout_s=60), engine.wait_ready()

    return serving


TEXTS = (
    "", " ", "Hi", "  two  spaces ", "tab\tand\nline", "Grüße, 世界! ☺ 🇩🇪", "1234567890", "<|im_end|>",
    "<|start|>assistant<|channel|>final<|message|>", "don't DON'T", "a" * 300, "\u202eabc", "x\u0301y", "\0",
    "def f(x):\n    return x ** 2  # comment\n", "https://example.org/?q=1&r=%20", "<0x41>", "▁x Ġy",
)  # fmt: skip


def copy_of(path: Path, folder: Path) -> Path:
    """A copy of a model's tokenizer, as `bringup prompt` makes one."""
    model = load_model(str(path))
    head, n_zeros = copy_tokenizer(model.metadata, order=model.header.byte_order, name=path.name)
    copy = folder / f"copy-{path.name}"
    scratch.write_with_zeros(str(copy), head, n_zeros)
    return copy


def answers(api: EngineApi) -> list[object]:
    """What an engine says of a talk and of texts that tokenizers find hard."""
    talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüße ☺"}]
    prompt = api.apply_template(talk)
    return [prompt, api.pieces(prompt), *(api.pieces(text) for text in TEXTS)]
