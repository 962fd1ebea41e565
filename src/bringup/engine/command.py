"""Settings of one engine start, and the one table that spells them for both ways to run llama.cpp.

External: arguments of `llama-server`. Embedded: parameters of `xllamacpp.CommonParams`. Both are pure
functions of `EngineSettings`, so what is shown is what runs. Spellings are those of llama.cpp's
common/arg.cpp (https://github.com/ggml-org/llama.cpp/blob/master/common/arg.cpp); what an older build
calls otherwise or does not have is judged from its own `--help` (see `help_text`).

The key is never an argument: the engine reads it from a file of mode 0600.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Final

from bringup.errors import EngineError, WrongUse
from bringup.records import dataclass

if TYPE_CHECKING:
    from bringup.engine.help_text import HelpText

ParameterValue = bool | int | float | str | list[str] | list[float]

DEFAULT_CACHE_RAM_MIB: Final = 512
"""RAM for prompts of earlier conversations; llama.cpp's own 8192 MiB are often more than is free."""

LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class FlashAttention(Enum):
    """Whether the fused attention kernels are used; the engine decides when `AUTO`."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class ReasoningFormat(Enum):
    """Where the thinking of a reasoning model goes: left in the text, or apart in `reasoning_content`."""

    NONE = "none"
    APART = "deepseek"


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What one engine is started with.

    Attributes:
        model_path: first (or only) file of the model.
        alias: the model's name in the API; without one it would be the file's path.
        host: address to listen on; loopback unless the user said otherwise.
        port: TCP port.
        n_ctx: size of the context window in tokens, over all slots.
        n_parallel: slots; each gets `n_ctx / n_parallel` tokens.
        n_threads: threads that generate.
        n_threads_batch: threads that read the prompt; `None` for the same number.
        n_batch: tokens of a logical batch; `None` for the engine's own 2,048.
        n_ubatch: tokens of a prompt that are computed at once; sizes the compute buffer.
        api_key_file: file that holds the key; `None` only where the user chose to have none.
        n_gpu_layers: layers on the GPU; `None` lets the engine fit them.
        n_cpu_moe: so many first layers keep their experts in main memory.
        overrides: `(pattern, device)`: tensors whose names match lie there.
        tensor_split: shares of the cards; empty splits by free memory.
        split_mode: `none`, `layer` or `row`; `None` for the engine's own `layer`.
        main_gpu: the card to use where the model is not split; `None` for the first.
        cache_type_k: type of the K half of the KV cache, such as `f16` or `q8_0`.
        cache_type_v: type of the V half.
        flash_attention: see `FlashAttention`.
        kv_unified: all slots share one cache.
        swa_full: sliding-window layers keep the whole window.
        kv_offload: the cache lies on the card where its layer does.
        op_offload: the card computes long prompts with weights of main memory.
        is_mapped: the model's file is mapped into memory, not read.
        embeddings: serve embeddings only (the engine then refuses chat).
        pooling: how the vectors of the tokens become one (`mean`, `cls`, `last`); `None` leaves it to the
            model's file. A chat model's file says nothing, and the OpenAI-style route then refuses to answer.
        cache_ram_mib: RAM in MiB for prompts of earlier conversations; 0 for none.
        reasoning_format: see `ReasoningFormat`.
        reasoning_effort: `low`, `medium` or `high` for templates that know it (gpt-oss); `None` for their own
            default. Requests may name another.
        temperature: of sampling, for requests that name none; `None` for the engine's own default (0.8).
        top_p: share of probability that sampling keeps, likewise (0.95).
        web_page: serve llama.cpp's own page, which needs no key to open.
        metrics: serve `/metrics`.
        verbosity: how much the engine logs, 1 (errors) to 5 (everything); `None` for its own default, to
            which the embedded engine keeps once it has loaded (see `embedded`).
        fits_itself: before it loads, the engine tries how many layers its cards hold. Where a plan has said
            that, it is a second reading of header and vocabulary, for nothing.
        extra: further llama-server arguments of the user, passed last and unchanged (external only).
    """

    model_path: str
    alias: str
    port: int
    n_ctx: int
    host: str = "127.0.0.1"
    n_parallel: int = 1
    n_threads: int = 1
    n_threads_batch: int | None = None
    n_batch: int | None = None
    n_ubatch: int = 512
    api_key_file: str | None = None
    n_gpu_layers: int | None = None
    n_cpu_moe: int | None = None
    overrides: tuple[tuple[str, str], ...] = ()
    tensor_split: tuple[float, ...] = ()
    split_mode: str | None = None
    main_gpu: int | None = None
    cache_type_k: str = "f16"
    cache_type_v: str = "f16"
    flash_attention: FlashAttention = FlashAttention.AUTO
    kv_unified: bool = False
    swa_full: bool = False
    kv_offload: bool = True
    op_offload: bool = True
    is_mapped: bool = True
    embeddings: bool = False
    pooling: str | None = None
    cache_ram_mib: int = DEFAULT_CACHE_RAM_MIB
    reasoning_format: ReasoningFormat = ReasoningFormat.APART
    reasoning_effort: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    web_page: bool = False
    metrics: bool = False
    verbosity: int | None = None
    fits_itself: bool = True
    extra: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """One row: how a setting is spelled for each way to run.

    Attributes:
        flag: llama-server's long option.
        parameter: dotted attribute of `CommonParams`.
        value: the setting's value; `None` leaves the row out.
        switch: the flag stands alone, without a value, and only when the value is true.
        older: spellings of older builds, tried in order.
        needed: a build without this option is refused; otherwise the row is left out.
        parameter_value: the value in `CommonParams` where it is written otherwise than the flag's.
        is_planned: the row carries out a plan, so it is in the command that a plan shows.
    """

    flag: str
    parameter: str
    value: Callable[[EngineSettings], ParameterValue | None]
    switch: bool = False
    older: tuple[str, ...] = ()
    needed: bool = True
    parameter_value: Callable[[EngineSettings], ParameterValue | None] | None = None
    is_planned: bool = False


TABLE: Final[tuple[Option, ...]] = (
    Option("--model", "model.path", lambda s: s.model_path),
    Option("--alias", "model_alias", lambda s: [s.alias]),
    Option("--host", "hostnames", lambda s: [s.host]),
    Option("--port", "port", lambda s: s.port),
    Option("--ctx-size", "n_ctx", lambda s: s.n_ctx, is_planned=True),
    Option("--parallel", "n_parallel", lambda s: s.n_parallel, is_planned=True),
    Option("--threads", "cpuparams.n_threads", lambda s: s.n_threads, is_planned=True),
    Option("--threads-batch", "cpuparams_batch.n_threads", lambda s: s.n_threads_batch or s.n_threads),
    Option("--batch-size", "n_batch", lambda s: s.n_batch, is_planned=True),
    Option("--ubatch-size", "n_ubatch", lambda s: s.n_ubatch, is_planned=True),
    Option(
        "--gpu-layers", "n_gpu_layers", lambda s: s.n_gpu_layers, older=("--n-gpu-layers",), is_planned=True
    ),
    # Before the experts' rule: the engine takes the first rule that matches a tensor's name.
    Option("--override-tensor", "tensor_buft_overrides", lambda s: _rules(s.overrides), is_planned=True),
    Option(
        "--n-cpu-moe",
        "tensor_buft_overrides",
        lambda s: s.n_cpu_moe or None,
        parameter_value=lambda s: _rules(_expert_rules(s.n_cpu_moe or 0)),
        is_planned=True,
    ),
    Option(
        "--tensor-split",
        "tensor_split",
        lambda s: ",".join(f"{share:g}" for share in s.tensor_split) or None,
        parameter_value=lambda s: list(s.tensor_split) or None,
        is_planned=True,
    ),
    Option("--split-mode", "split_mode", lambda s: s.split_mode, is_planned=True),
    Option("--main-gpu", "main_gpu", lambda s: s.main_gpu, is_planned=True),
    Option("--cache-type-k", "cache_type_k", lambda s: _unless(s.cache_type_k, "f16"), is_planned=True),
    Option("--cache-type-v", "cache_type_v", lambda s: _unless(s.cache_type_v, "f16"), is_planned=True),
    Option(
        "--flash-attn", "flash_attn_type", lambda s: _unless(s.flash_attention.value, "auto"), is_planned=True
    ),
    Option("--kv-unified", "kv_unified", lambda s: s.kv_unified or None, switch=True, is_planned=True),
    Option("--swa-full", "swa_full", lambda s: s.swa_full or None, switch=True, is_planned=True),
    Option(
        "--no-kv-offload",
        "no_kv_offload",
        lambda s: None if s.kv_offload else True,
        switch=True,
        is_planned=True,
    ),
    Option(
        "--no-op-offload",
        "no_op_offload",
        lambda s: None if s.op_offload else True,
        switch=True,
        is_planned=True,
    ),
    Option(
        "--load-mode",
        "load_mode",
        lambda s: None if s.is_mapped else "none",
        older=("--no-mmap",),
        is_planned=True,
    ),
    Option(
        "--fit",
        "fit_params",
        lambda s: None if s.fits_itself else "off",
        needed=False,
        parameter_value=lambda s: None if s.fits_itself else False,
    ),
    Option("--embeddings", "embedding", lambda s: s.embeddings or None, switch=True, older=("--embedding",)),
    Option("--pooling", "pooling_type", lambda s: s.pooling),
    Option("--cache-ram", "cache_ram_mib", lambda s: s.cache_ram_mib, needed=False, is_planned=True),
    Option("--reasoning-format", "reasoning_format", lambda s: s.reasoning_format.value, needed=False),
    Option("--chat-template-kwargs", "default_template_kwargs", lambda s: _effort(s.reasoning_effort)),
    Option("--temp", "sampling.temp", lambda s: s.temperature),
    Option("--top-p", "sampling.top_p", lambda s: s.top_p),
    Option("--metrics", "endpoint_metrics", lambda s: s.metrics or None, switch=True),
    Option("--no-ui", "ui", lambda s: None if s.web_page else False, True, ("--no-webui",), needed=False),
    Option("--verbosity", "verbosity", lambda s: s.verbosity, older=("--log-verbosity",), needed=False),
    # llama.cpp's default reflects any Origin, so any web page could drive the engine.
    Option("--cors-origins", "cors_origins", lambda _: "localhost", needed=False),
    Option("--api-key-file", "api_key_file", lambda s: s.api_key_file),
    # The model is a file of this machine; nothing the engine could fetch is wanted.
    Option("--offline", "offline", lambda _: True, switch=True, needed=False),
)


def _effort(effort: str | None) -> str | None:
    """Words for the chat template, as JSON."""
    return None if effort is None else json.dumps({"reasoning_effort": effort})


def _rules(rules: tuple[tuple[str, str], ...]) -> str | None:
    return ",".join(f"{pattern}={device}" for pattern, device in rules) or None


def _expert_rules(n_layer: int) -> tuple[tuple[str, str], ...]:
    """What `--n-cpu-moe` stands for (llama.cpp b11434, `common/common.h`)."""
    return tuple((rf"blk\.{index}\.ffn_(up|down|gate|gate_up)_(ch|)exps", "CPU") for index in range(n_layer))


def _unless(value: str, default: str) -> str | None:
    return None if value == default else value


def arguments(settings: EngineSettings, known: HelpText | None = None) -> tuple[str, ...]:
    """Arguments of `llama-server` after the program's name.

    Args:
        settings: what to start.
        known: options of the very build that will run; `None` assumes a current one.

    Raises:
        EngineError: the build lacks an option that must be sent.
        WrongUse: an unsafe wish, or an `extra` argument that this build does not know or that is ours.
    """
    check(settings)
    words: list[str] = []
    for option in TABLE:
        value = option.value(settings)
        if value is not None:
            words += _spell(option, value, known)
    if known is not None:
        _judge(settings, known)
    return (*words, *settings.extra)


def plan_arguments(settings: EngineSettings) -> tuple[str, ...]:
    """The arguments that carry out a plan, without those of our own ways (port, key, page, log)."""
    words: list[str] = []
    for option in TABLE:
        value = option.value(settings)
        if option.is_planned and value is not None:
            words += _spell(option, value, None)
    return tuple(words)


def _spell(option: Option, value: ParameterValue, known: HelpText | None) -> list[str]:
    flag = option.flag
    if known is not None:
        found = next((f for f in (option.flag, *option.older) if known.has(f)), None)
        if found is None:
            if option.needed:
                raise EngineError(
                    f"this llama-server does not know {option.flag}",
                    hint="It is too old for these settings: update it, or use the embedded engine.",
                    reference="engine-too-old",
                )
            return []
        flag = found
        if flag == "--no-mmap":
            return [flag]
        # Until August 2025 `-fa` was a switch; given a value, such a build stops at argument parsing.
        if flag == "--flash-attn" and not known.takes_value(flag):
            return [flag] if value == "on" else []
    if option.switch:
        return [flag]
    return [flag, ",".join(map(str, value)) if isinstance(value, list) else str(value)]


def _judge(settings: EngineSettings, known: HelpText) -> None:
    if settings.api_key_file is None and not known.has("--cors-origins"):
        raise EngineError(
            "this llama-server would obey any web page that you open",
            context=("it has no --cors-origins (llama.cpp has it since July 2026) and no key was wanted",),
            hint="Let it have a key (leave out --no-key), or update llama.cpp.",
            reference="engine-too-old",
        )
    unknown = [w for w in settings.extra if w.startswith("-") and not _is_number(w) and not known.has(w)]
    if unknown:
        raise WrongUse(
            f"this llama-server does not know {unknown[0]}",
            hint="Its own `llama-server --help` lists what it knows.",
            reference="engine-flag-changed",
        )


def _is_number(word: str) -> bool:
    return word[1:].replace(".", "", 1).isdigit()


_OURS: Final = frozenset(
    {"-m", "-a", "-c", "-np", "-t", "-tb", "-b", "-ub", "-ngl", "--n-gpu-layers", "-fa", "-ctk", "-ctv"}
    | {
        "--api-key",
        "-ncmoe",
        "--cpu-moe",
        "-cmoe",
        "-ot",
        "-ts",
        "-sm",
        "-mg",
        "-kvu",
        "-nkvo",
        "-lm",
        "-cram",
    }
    | {"--reuse-port", "--cors-credentials"}
    | {flag for option in TABLE for flag in (option.flag, *option.older)}
) - {"--temp", "--top-p"}  # only defaults for requests: the user's, passed last, win


def check(settings: EngineSettings) -> None:
    """Refuse settings that would open the machine or hide what runs.

    Raises:
        WrongUse: no key off loopback; no alias; an `extra` argument that one of our settings already says.
    """
    if settings.host not in LOOPBACK_HOSTS and settings.api_key_file is None:
        raise WrongUse(
            f"refused to listen on {settings.host} without a key",
            hint="Anyone on the network could use the model: leave out --no-key.",
            reference="open-without-key",
        )
    if not settings.alias.strip() or "," in settings.alias:
        raise WrongUse(f"{settings.alias!r} cannot be a model's name in the API", reference="wrong-alias")
    for word in settings.extra:
        if word.split("=", 1)[0] in _OURS:
            raise WrongUse(
                f"{word.split('=', 1)[0]} is set by bringup itself",
                hint="Use bringup's own option for it; `--help` lists them.",
                reference="engine-flag-ours",
            )


def parameters(settings: EngineSettings) -> dict[str, ParameterValue]:
    """Parameters of the embedded engine: dotted `CommonParams` attribute to plain JSON value.

    Raises:
        WrongUse: as `check`; or `extra` arguments, which only an external llama-server takes.
    """
    check(settings)
    if settings.extra:
        raise WrongUse(
            "the embedded engine takes no llama-server arguments",
            context=(f"given: {' '.join(settings.extra)}",),
            hint="Use an external llama-server for these (--engine PATH).",
        )
    found: dict[str, ParameterValue] = {}
    for option in TABLE:
        value = (option.parameter_value or option.value)(settings)
        if value is not None and option.parameter == "tensor_buft_overrides" and option.parameter in found:
            value = f"{found[option.parameter]},{value}"  # two flags, one list of rules
        if value is not None:
            found[option.parameter] = value
    return found
