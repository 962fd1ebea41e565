"""From a model on the disk and what the user wants to everything that an engine is started with.

Looks at the machine (free memory, processors, ports, engines) and decides; starts nothing.
"""

from __future__ import annotations

from typing import Final

from bringup.actions.planning.command import settings_of
from bringup.actions.planning.engine_plan import EnginePlan, plan_for_engine
from bringup.actions.planning.source import of_headers
from bringup.actions.surroundings import Surroundings, engine_environment, find_build
from bringup.engine.build import EngineBuild
from bringup.engine.command import EngineSettings
from bringup.engine.command import check as check_settings
from bringup.engine.environment import EngineEnvironment
from bringup.engine.key import KEY_FILE_LIMIT_BYTES, read_or_create_key
from bringup.engine.ports import PortChoice, PortTaken, choose_port, describe_holder
from bringup.engine.registry import claimed_ports, list_running
from bringup.errors import FileTrouble, ModelFileError, WrongUse
from bringup.machine import files, folders, paths
from bringup.machine.folders import Folders
from bringup.model.architecture import Architecture
from bringup.model.shards import Model
from bringup.model.tokenizer import CHAT_TEMPLATE
from bringup.plan.plan import Plan
from bringup.plan.request import Request
from bringup.records import dataclass, replace
from bringup.store.catalogue import entry_of_file
from bringup.store.header import load_model
from bringup.store.local import LocalModel
from bringup.store.soundness import is_known_sound, keep_sound

PORT_VARIABLE: Final = "BRINGUP_PORT"
_LOOPBACK: Final = "127.0.0.1"
_EMBEDDING_UBATCH_TOKENS: Final = 2048
"""A text to be embedded must fit into one micro-batch; llama.cpp refuses a longer one."""


@dataclass(frozen=True, slots=True)
class EngineWishes:
    """What the user said; `None` is what nothing was said about.

    Attributes:
        engine: `embedded`, `external` or the path of a llama-server.
        n_ctx: context window in tokens of all slots together; 0 for the model's trained one.
        n_parallel: slots.
        n_threads: threads.
        host: address to listen on.
        port: TCP port.
        may_move_port: whether a port that is taken may be replaced by the next free one.
        alias: the model's name in the API.
        embeddings: serve embeddings instead of chat.
        reasoning: how much the model is to think, `low`, `medium` or `high`, where its template knows that.
        key_file: a file with the key to use instead of the user's own.
        no_key: the user chose to have no key.
        web_page: serve llama.cpp's own page for chats too.
        keep_engine_environment: honour inherited `LLAMA_*` and `GGML_*` variables.
        extra: further arguments for an external llama-server.
    """

    engine: str | None = None
    n_ctx: int | None = None
    n_parallel: int = 1
    n_threads: int | None = None
    host: str | None = None
    port: int | None = None
    may_move_port: bool = True
    alias: str | None = None
    embeddings: bool = False
    reasoning: str | None = None
    key_file: str | None = None
    no_key: bool = False
    web_page: bool = False
    keep_engine_environment: bool = False
    extra: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preparation:
    """All that an engine is started with.

    Attributes:
        model: the model's files.
        headers: what they say of themselves.
        build: the engine.
        chosen: the plan that is followed, with why.
        settings: what the engine is told.
        environment: what it inherits, and what was dropped.
        log_path: where its output goes.
        port: the port, and the one that it stands for where that was taken.
    """

    model: LocalModel
    headers: Model
    build: EngineBuild
    chosen: EnginePlan
    settings: EngineSettings
    environment: EngineEnvironment
    log_path: str
    port: PortChoice

    @property
    def plan(self) -> Plan:
        """The settings and the memory that they cost."""
        return self.chosen.plan

    @property
    def port_holder(self) -> str:
        """Who has the port that was wanted first, in words; empty when nobody does or it cannot be seen."""
        return describe_holder(self.port.holder) if self.port.holder is not None else ""

    @property
    def architecture(self) -> Architecture:
        """The model's figures."""
        return self.headers.architecture

    @property
    def model_texts(self) -> tuple[str, ...]:
        """Strings of the model that the engine may print: no line of its log that they made is evidence."""
        return tuple(text for text in self.headers.metadata.values() if isinstance(text, str))


def prepare(model: LocalModel, wishes: EngineWishes, around: Surroundings) -> Preparation:
    """Everything that an engine is started with for this model.

    Raises:
        ModelFileError: the file is no whole, sound model.
        DoesNotFit: it needs more memory than is free.
        EngineError: there is no such engine, or the port is taken.
        WrongUse, FileTrouble: a wish that cannot be followed, a key file that cannot be used.
    """
    headers = load_model(model.paths, folders=around.folders)
    _refuse_killers_once(headers, around.folders)
    check_reasoning(headers, wishes.reasoning)
    build = find_build(wishes.engine, around)
    chosen = plan_for_engine(
        of_headers(model, headers),
        build,
        request=_request(wishes),
        n_threads=wishes.n_threads,
        machine=around.machine,
    )
    host = wishes.host or around.configuration.server.host or _LOOPBACK
    port = _port(wishes, around, host)
    planned = settings_of(
        chosen.memory,
        chosen.planning.request,
        chosen.planning.place,
        model_path=model.paths[0],
        alias=wishes.alias or alias_of(model),
        port=port.port,
    )
    entry = entry_of_file(paths.basename(model.paths[0]))
    settings = replace(
        planned,
        temperature=entry.temperature if entry else None,
        top_p=entry.top_p if entry else None,
        host=host,
        api_key_file=_key_file(wishes, around.folders),
        embeddings=wishes.embeddings,
        web_page=wishes.web_page,
        reasoning_effort=wishes.reasoning,
        pooling=_pooling(headers) if wishes.embeddings else None,
        metrics=True,
        fits_itself=chosen.may_know_more and planned.n_gpu_layers is None,
        extra=wishes.extra,
    )
    check_settings(settings)
    environment = engine_environment(
        around, is_external=build.is_external, keep_engine_variables=wishes.keep_engine_environment
    )
    log_path = paths.join(around.folders.logs, f"{port.port}.log")
    return Preparation(model, headers, build, chosen, settings, environment, log_path, port)


def alias_of(model: LocalModel) -> str:
    """The model's name for the API: that of its file, without folder and ending, in printable characters."""
    name = paths.basename(model.name)
    stem = name[:-5] if name.lower().endswith(".gguf") else name
    typed = (character if character.isprintable() and character != "," else "-" for character in stem)
    return "".join(typed).strip() or "model"


def refuse_killers(model: Model) -> None:
    """Refuse a file that is known to end the engine, before the engine sees it.

    Raises:
        ModelFileError: with what is wrong and where.
    """
    from bringup.model.preflight import check_model
    from bringup.model.problem import Gravity

    fatal = [problem for problem in check_model(model) if problem.gravity is Gravity.REFUSED]
    if fatal:
        raise ModelFileError(
            f"{model.name} would end the engine",
            context=tuple(f"{one.message}: expected {one.expected}, found {one.found}" for one in fatal[:8]),
            hint="Fetch the file again, or take another build of this model.",
            reference=fatal[0].reference,
        )


def _port(wishes: EngineWishes, around: Surroundings, host: str) -> PortChoice:
    """The engine's port; where an engine of the user's own has it, that one is named with what ends it."""
    try:
        return choose_port(
            explicit=wishes.port,
            environment=folders.variable(PORT_VARIABLE),
            configured=around.configuration.server.port,
            host=host,
            claimed=claimed_ports(around.folders),
            may_move=wishes.may_move_port,
        )
    except PortTaken as taken:
        for record in list_running(around.folders):
            if record.port == taken.port and record.is_live:
                taken.context = (f"your engine {record.alias} has it ({record.state.value})",)
                taken.hint = f"bringup stop {taken.port} ends it; --port takes another port."
        raise


def _refuse_killers_once(model: Model, ours: Folders) -> None:
    """As `refuse_killers`; files that were found sound are not looked through again."""
    names = [header.name for header in model.headers]
    if not is_known_sound(names, ours):
        refuse_killers(model)
        keep_sound(names, ours)


def check_reasoning(model: Model, wanted: str | None) -> None:
    """Refuse an effort that the model's template would swallow without a word.

    Raises:
        WrongUse: the template knows no reasoning effort, or there is none.
    """
    template = model.metadata.get(CHAT_TEMPLATE)
    if wanted is None or (isinstance(template, str) and "reasoning_effort" in template):
        return
    raise WrongUse(
        f"--reasoning {wanted}: the chat template of {paths.basename(model.name)} knows no reasoning effort",
        hint="Leave the option out. gpt-oss is a model that knows it.",
        reference="no-reasoning-effort",
    )


def _request(wishes: EngineWishes) -> Request:
    return Request(
        n_ctx=wishes.n_ctx,
        n_parallel=wishes.n_parallel,
        n_ubatch=_EMBEDDING_UBATCH_TOKENS if wishes.embeddings else None,
    )


def _pooling(model: Model) -> str | None:
    """`None` where the file of an embedding model says it; `mean` for a chat model, whose file does not."""
    key = f"{model.architecture.name}.pooling_type"
    return None if key in model.metadata else "mean"


def _key_file(wishes: EngineWishes, ours: Folders) -> str | None:
    """The file that the engine reads its key from; `None` only where the user chose to have no key."""
    if wishes.no_key:
        return None
    if wishes.key_file is None:
        read_or_create_key(ours)
        return ours.key_file
    path = paths.absolute(wishes.key_file)
    data = files.read_small(path, limit_bytes=KEY_FILE_LIMIT_BYTES)
    if data is None or not any(line and not line.startswith(b"#") for line in data.splitlines()):
        raise FileTrouble(
            f"there is no key in {path}" if data is not None else f"there is no key file {path}",
            hint="A key file holds one key a line; lines that begin with # are comments.",
            reference="key-damaged",
        )
    keys = [(n, key) for n, key in enumerate(data.split(b"\n"), 1) if key and not key.startswith(b"#")]
    for number, key in keys:
        # The engine takes a line as it is, to the last blank, and HTTP brings no such header.
        if key != key.strip() or not all(0x20 <= byte < 0x7F for byte in key):
            raise FileTrouble(
                f"line {number} of {path} holds a key that no client can send",
                context=("it ends with a Windows line end",) if key.endswith(b"\r") else (),
                hint="A key is of printable ASCII, with no blank before or after it on its line.",
                reference="key-damaged",
            )
    return path
