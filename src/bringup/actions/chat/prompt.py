"""What a model is really sent for a text: the rendered template, token by token, and what it costs.

The engine is asked, never imitated: the running one where it serves this very model, else one that is started
for a moment on a small copy of the model's tokenizer (see `model.tokenizer_copy`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from bringup.actions.chat.conversation import Conversation
from bringup.actions.models.show import find_on_disk
from bringup.actions.running.preparation import check_reasoning, refuse_killers
from bringup.actions.surroundings import Surroundings, find_build
from bringup.engine.answer_errors import EngineGone, RequestRefused
from bringup.engine.answers import Finished, NextToken, TokenPiece
from bringup.engine.api import EngineApi
from bringup.engine.build import EngineBuild
from bringup.engine.command import EngineSettings
from bringup.engine.environment import clean_environment
from bringup.engine.key import engine_key, read_or_create_key
from bringup.engine.registry import EngineRecord, EngineState, list_running
from bringup.engine.start import start_engine
from bringup.errors import EngineError, WrongUse
from bringup.machine import folders as machine_folders
from bringup.machine import paths, scratch, sockets
from bringup.machine.folders import Folders
from bringup.model.shards import Model
from bringup.model.tokenizer_copy import N_CTX, copy_tokenizer
from bringup.plan.kv_cache import LayerCache, layer_bytes
from bringup.records import dataclass
from bringup.store.header import load_model

_TOKEN_TYPES: Final = "tokenizer.ggml.token_type"
_SPECIAL_TYPES: Final = frozenset({3, 4})  # control and user-defined: LLAMA_TOKEN_TYPE_* of llama.h
_TIMEOUT_S: Final = 30.0
_CACHE_TYPE: Final = "f16"


@dataclass(frozen=True, slots=True)
class PromptWishes:
    """What to show.

    Attributes:
        text: the question.
        system: the system prompt; empty for none.
        reasoning: effort for templates that know it; `None` for their default.
        engine: which engine to ask on a copy; `None` for the running one, else the first.
        measures_reuse: also send it to the running engine, for one token, to see what it reuses.
        n_next: likewise, to see so many of the tokens that it may go on with; 0 for none.
    """

    text: str
    system: str = ""
    reasoning: str | None = None
    engine: str | None = None
    measures_reuse: bool = False
    n_next: int = 0


@dataclass(frozen=True, slots=True)
class PromptToken:
    """One token: id, the bytes that it stands for, whose it is, whether it is a special one."""

    id: int
    piece: bytes
    part: str
    is_special: bool


@dataclass(frozen=True, slots=True)
class PromptReport:
    """What is sent.

    Attributes:
        model_name: of the file.
        asked: whom, in words.
        rendered: the prompt as text.
        tokens: as the engine reads it.
        parts: tokens by whose they are, in words; empty where the tokens could not be laid over the text.
        n_ctx: window of the running engine; `None` when none runs.
        n_ctx_train: window that the model was trained with; `None` when its file does not say.
        kv_cache_bytes: what these tokens fill of the KV cache, in f16.
        reused_tokens: how many the running engine had in its cache; `None` when it was not asked.
        next_tokens: what the model may go on with, the likeliest first; empty when it was not asked.
    """

    model_name: str
    asked: str
    rendered: str
    tokens: tuple[PromptToken, ...]
    parts: tuple[tuple[str, int], ...]
    n_ctx: int | None
    n_ctx_train: int | None
    kv_cache_bytes: int
    reused_tokens: int | None
    next_tokens: tuple[NextToken, ...] = ()


def show_prompt(name: str, wishes: PromptWishes, around: Surroundings) -> PromptReport:
    """What the model is sent.

    Raises:
        WrongUse: no such model here; no engine runs that could be asked what it reuses or goes on with.
        ModelFileError: no model, no vocabulary, or a tokenizer that is known to end an engine.
        EngineError: no engine, or the template refuses the conversation.
    """
    found, _ = find_on_disk(name, around.folders)
    model = load_model(found, folders=around.folders, allow_cut_short=True)
    refuse_killers(model)
    check_reasoning(model, wishes.reasoning)
    record = None if wishes.engine else _running(found[0], around.folders)
    if (wishes.measures_reuse or wishes.n_next) and record is None:
        raise WrongUse(
            "no engine runs this model, so none can be asked what it reuses or goes on with",
            hint=f"bringup serve {name} --detach starts one.",
            reference="engine-unknown",
        )
    with _asked(model, record, wishes, around) as (api, asked, n_ctx):
        rendered, pieces = _ask(api, wishes)
        reused, following = _send(api, wishes, pieces)
    texts = [("system prompt", wishes.system), ("your text", wishes.text)]
    owners = lay_over(rendered, pieces, texts)
    special = _special_ids(model)
    tokens = tuple(
        PromptToken(piece.id, piece.piece, owner, piece.id in special)
        for piece, owner in zip(pieces, owners or [""] * len(pieces), strict=True)
    )
    return PromptReport(
        model_name=paths.basename(found[0]),
        asked=asked,
        rendered=rendered,
        tokens=tokens,
        parts=_counts(owners),
        n_ctx=n_ctx,
        n_ctx_train=model.architecture.n_ctx_train,
        kv_cache_bytes=_kv_cache_bytes(model, len(tokens)),
        reused_tokens=reused,
        next_tokens=following,
    )


def _conversation(wishes: PromptWishes) -> list[dict[str, str]]:
    said = Conversation(wishes.system).asked(wishes.text)
    return [{"role": role.value, "content": text} for role, text in said.messages()]


def _options(wishes: PromptWishes) -> dict[str, Any]:
    return {"chat_template_kwargs": {"reasoning_effort": wishes.reasoning}} if wishes.reasoning else {}


def _ask(api: EngineApi, wishes: PromptWishes) -> tuple[str, tuple[TokenPiece, ...]]:
    try:
        rendered = api.apply_template(_conversation(wishes), **_options(wishes))
    except (RequestRefused, EngineGone) as problem:
        raise EngineError(
            "the engine could not render this model's chat template",
            context=(problem.message, *problem.context),
            hint="bringup show MODEL --template prints it; bringup faults chat-template-failed says more.",
            reference="chat-template-failed",
        ) from problem
    return rendered, api.pieces(rendered)


def _send(
    api: EngineApi, wishes: PromptWishes, pieces: Sequence[TokenPiece]
) -> tuple[int | None, tuple[NextToken, ...]]:
    """Tokens that were reused and those that may follow, where one wants to know."""
    if wishes.n_next:
        following, timings = api.next_tokens([piece.id for piece in pieces], count=wishes.n_next)
        return timings.cached_tokens if timings is not None else None, following
    return (_measure_reuse(api, wishes) if wishes.measures_reuse else None), ()


def _measure_reuse(api: EngineApi, wishes: PromptWishes) -> int | None:
    events = api.chat(_conversation(wishes), max_tokens=1, **_options(wishes))
    end = next((event for event in events if isinstance(event, Finished)), None)
    return end.timings.cached_tokens if end is not None and end.timings is not None else None


@contextmanager
def _asked(
    model: Model, record: EngineRecord | None, wishes: PromptWishes, around: Surroundings
) -> Iterator[tuple[EngineApi, str, int | None]]:
    """The engine to ask, whom that is in words, and its window where it is the running one."""
    if record is not None:
        key = engine_key(around.folders, has_key=record.has_key, key_file=record.key_file)
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(record.host, record.host)
        address = f"http://[{host}]:{record.port}" if ":" in host else f"http://{host}:{record.port}"
        api = EngineApi(address, key, timeout_s=_TIMEOUT_S)
        yield api, f"the engine that runs it on port {record.port}", api.info().n_ctx
        return
    build = find_build(wishes.engine, around)
    with scratch.scratch_folder(paths.join(around.folders.cache, "prompt"), "copy") as folder:
        copy = paths.join(folder, "tokenizer.gguf")
        header = model.header
        head, n_zeros = copy_tokenizer(model.metadata, order=header.byte_order, name=header.name)
        scratch.write_with_zeros(copy, head, n_zeros)
        with _engine_on(copy, build, folder, around) as api:
            words = f"{build.kind.value} {build.version}".strip()
            yield api, f"the {words} engine, on a copy of its tokenizer", None


@contextmanager
def _engine_on(copy: str, build: EngineBuild, folder: str, around: Surroundings) -> Iterator[EngineApi]:
    read_or_create_key(around.folders)
    settings = EngineSettings(
        model_path=copy,
        alias="tokenizer",
        port=sockets.free_port(),
        n_ctx=N_CTX,
        cache_ram_mib=0,
        fits_itself=False,
        api_key_file=around.folders.key_file,
    )
    environment = clean_environment(
        machine_folders.all_variables(), is_external=build.is_external, keep_engine_variables=False
    )
    log_path = paths.join(folder, "engine.log")
    with start_engine(build, settings, log_path=log_path, environment=environment.variables) as engine:
        engine.wait_ready()
        yield engine.api(timeout_s=_TIMEOUT_S)


def _running(path: str, ours: Folders) -> EngineRecord | None:
    """The engine of ours that serves exactly this file, surely on its own port.

    One in the background goes before a chat, whose conversation in the KV cache a request would displace.
    """
    for record in sorted(list_running(ours), key=lambda one: not one.is_detached):
        is_same = paths.real(record.model_path) == paths.real(path) and record.state is EngineState.READY
        if is_same and record.engine and sockets.is_only_listener(record.engine.pid, record.port):
            return record
    return None


def lay_over(
    rendered: str, pieces: Sequence[TokenPiece], texts: Sequence[tuple[str, str]]
) -> list[str] | None:
    """Whose each token is: a named text's, else the template's; `None` where the tokens do not make the text.

    A token that stands on an edge belongs to where it begins. What the tokenizer itself puts in front (a mark
    of the beginning, a space) is the template's.
    """
    raw = rendered.encode()
    spans, at = [], 0
    for name, text in texts:
        wanted = text.strip().encode()
        begin = raw.find(wanted, at) if wanted else -1
        if begin >= 0:
            at = begin + len(wanted)
            spans.append((begin, at, name))
    owners, position = [], 0
    for piece in pieces:
        length = _matches(raw, position, piece.piece)
        if length is None:
            return None
        owner = next((name for begin, end, name in spans if begin <= position < end), "template")
        owners.append(owner if length else "template")
        position += length
    return owners if position == len(raw) else None


def _matches(raw: bytes, position: int, piece: bytes) -> int | None:
    """Bytes of the text that a token covers; at the front a token may stand for none."""
    if raw.startswith(piece, position):
        return len(piece)
    if position:
        return None
    bare = piece.lstrip(b" ")
    return len(bare) if bare and raw.startswith(bare) else 0


def _counts(owners: list[str] | None) -> tuple[tuple[str, int], ...]:
    names = ("template", "system prompt", "your text")
    return tuple((name, owners.count(name)) for name in names if name in owners) if owners else ()


def _special_ids(model: Model) -> frozenset[int]:
    types = model.metadata.array(_TOKEN_TYPES)
    if types is None:
        return frozenset()
    return frozenset(number for number, kind in enumerate(types.numbers()) if kind in _SPECIAL_TYPES)


def _kv_cache_bytes(model: Model, n_tokens: int) -> int:
    """Cells that these tokens fill, of each layer; a layer with a sliding window keeps no more than that."""
    figures = model.architecture
    total = 0
    for layer in figures.cache_layers:
        cells = min(n_tokens, figures.n_swa) if layer.is_swa and figures.n_swa else n_tokens
        cache = LayerCache(layer.n_embd_k, layer.n_embd_v, layer.is_swa)
        total += layer_bytes(cache, cells=cells, type_k=_CACHE_TYPE, type_v=_CACHE_TYPE)
    return total
