"""How a starting engine is described."""

from __future__ import annotations

from collections.abc import Sequence

from bringup.engine.build import EngineBuild
from bringup.engine.ports import PortChoice
from bringup.faces.render.format import display_width, format_bytes, format_count
from bringup.plan.plan import Plan


def model_line(*, alias: str, build: EngineBuild, n_ctx: int, memory_bytes: int, width_columns: int) -> str:
    """`smollm2-135m · embedded 2026.10.11549 · context 8,192 · 487 MiB RAM`; shorter if narrow."""
    figures = (f"context {format_count(n_ctx)}", f"{format_bytes(memory_bytes)} RAM")
    heads = ((engine_words(build),), (build.kind.value,), ())
    lines = [" · ".join((alias, *engine, *figures)) for engine in heads] + [f"{alias} · {figures[0]}"]
    return next((line for line in lines if display_width(line) < width_columns), lines[-1])


def running_bytes(plan: Plan) -> int:
    """What the engine itself takes: without what is only kept free, and without room for earlier prompts."""
    return sum(part.bytes for part in plan.parts if part.name not in ("margin", "prompt_cache"))


def engine_words(build: EngineBuild) -> str:
    """`embedded 2026.10.11549`, `wheel 2026.10.11549 (our build)`, `llama-server b11434 (PATH)`."""
    if build.is_external:
        return " ".join(part for part in ("llama-server", build.version, f"({build.origin})") if part)
    if build.site:
        return " ".join(part for part in ("wheel", build.version, f"({build.origin})") if part)
    return f"embedded {build.version}".strip()


def moved_line(choice: PortChoice, *, held: str) -> str:
    """Which port was taken, by whom (empty: it cannot be seen), and what is used instead."""
    holder = f" ({held})" if held else ""
    return f"Port {choice.wanted} is taken{holder}; using {choice.port}."


def dropped_line(names: Sequence[str]) -> str:
    """Which inherited variables the engine does not see, and how to have them honoured."""
    return (
        f"Not passed to the engine: {', '.join(names)} "
        "(they would change it unseen; --keep-engine-environment honours them)"
    )
