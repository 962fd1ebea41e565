"""Options of `bringup plan`: llama-server's own under their own names, and those that describe a machine."""

from __future__ import annotations

import math
from typing import Any, Final

import click

from bringup.faces.cli.parameters import Command, FiniteRange, TokenCount
from bringup.units import GIB, MIB, parse_size, parse_whole

ALL_LAYERS: Final = -1


class Memory(click.ParamType[int]):
    """An amount of memory: `12G`, `900M`; a bare number counts in `unit_bytes`."""

    name = "SIZE"

    def __init__(self, unit_bytes: int = GIB) -> None:
        """`unit_bytes` is what a bare number counts."""
        self._unit_bytes = unit_bytes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        """Read it; click shows the `ValueError`'s words."""
        if isinstance(value, int):
            return value
        text = str(value).strip()
        try:
            return parse_size(text, bare_bytes=self._unit_bytes)
        except ValueError as problem:
            self.fail(str(problem), param, ctx)


class Layers(click.ParamType[int | None]):
    """A number of layers, `all`, or `auto` for our own choice."""

    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:  # noqa: ANN401
        """`all` is any negative number, as for llama-server."""
        text = str(value).strip().lower()
        if text in ("all", "auto"):
            return ALL_LAYERS if text == "all" else None
        count = parse_whole(text.removeprefix("-"))
        if count is None:
            self.fail(f"{value!r} is no number of layers, nor all or auto", param, ctx)
        return ALL_LAYERS if text.startswith("-") else count


class Shares(click.ParamType[tuple[float, ...]]):
    """Proportions of the cards: `3,1`."""

    name = "N,N"

    def convert(  # click's signature
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[float, ...]:
        """Read them."""
        if isinstance(value, tuple):
            return value
        try:
            shares = tuple(float(part) for part in str(value).replace("/", ",").split(",") if part.strip())
        except ValueError:
            shares = (math.nan,)
        if not all(map(math.isfinite, shares)):
            self.fail(f"{value!r} are no proportions such as 3,1", param, ctx)
        return shares


class Build(click.ParamType[int]):
    """A build of llama.cpp: `b10644`."""

    name = "BUILD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        """Its number."""
        number = parse_whole(str(value).strip().lower().removeprefix("b"))
        if number is None or not 1 <= number < 1_000_000:
            self.fail(f"{value!r} is no build of llama.cpp such as b10644", param, ctx)
        return number


_CACHE_TYPE: Final = "f32, f16, bf16, q8_0, q5_1, q5_0, q4_1, q4_0 or iq4_nl."

_ENGINE: Final = (
    click.option(
        "-c", "--ctx-size", type=TokenCount(), help="Context of all slots together, in tokens; 0: trained."
    ),
    click.option(
        "-np", "--parallel", type=click.IntRange(1, 256), default=1, help="Slots: requests at once."
    ),
    click.option("-ub", "--ubatch-size", type=click.IntRange(1, 65536), help="Tokens computed at once."),
    click.option("-b", "--batch-size", type=click.IntRange(1, 65536), help="Tokens of a logical batch."),
    click.option(
        "-ngl", "--n-gpu-layers", "--gpu-layers", type=Layers(), help="Layers on the card: N, all or auto."
    ),
    click.option(
        "-ncmoe", "--n-cpu-moe", type=click.IntRange(0, 512), help="First N layers: experts in main memory."
    ),
    click.option("-cmoe", "--cpu-moe", is_flag=True, help="All experts stay in main memory."),
    click.option(
        "-ot", "--override-tensor", multiple=True, metavar="PATTERN=DEVICE", help="Place tensors by name."
    ),
    click.option("-ts", "--tensor-split", type=Shares(), help="Proportions of several cards: 3,1."),
    click.option(
        "-sm",
        "--split-mode",
        type=click.Choice(["layer", "none", "row", "tensor"]),
        help="What cards share: layers, nothing, rows (older builds), or all.",
    ),
    click.option("-mg", "--main-gpu", type=click.IntRange(0, 63), help="The card for --split-mode none."),
    click.option("-ctk", "--cache-type-k", metavar="TYPE", help=f"Keys of the KV cache: {_CACHE_TYPE}"),
    click.option("-ctv", "--cache-type-v", metavar="TYPE", help="Values of the KV cache, likewise."),
    click.option("-fa", "--flash-attn", type=click.Choice(["on", "off", "auto"]), help="Fused attention."),
    click.option("-kvu", "--kv-unified", is_flag=True, help="One KV cache for all slots."),
    click.option("--swa-full", is_flag=True, help="Sliding-window layers keep the whole window."),
    click.option("-nkvo", "--no-kv-offload", is_flag=True, help="The KV cache stays in main memory."),
    click.option("--no-op-offload", is_flag=True, help="Long prompts are computed where the weights are."),
    click.option("--no-mmap", is_flag=True, help="The file is read into memory, not mapped."),
    click.option(
        "-cram", "--cache-ram", type=click.IntRange(0), metavar="MIB", help="Main memory for earlier prompts."
    ),
    click.option(
        "-mm", "--mmproj", metavar="FILE", help="A projector for pictures or sound, beside the model."
    ),
    click.option("--no-mmproj-offload", is_flag=True, help="The projector stays in main memory."),
    click.option(
        "--spec-type",
        type=click.Choice(["draft-mtp"]),
        help="Draft with the layers that the file has for it (MTP).",
    ),
    click.option(
        "-md", "--model-draft", "--spec-draft-model", metavar="MODEL", help="A drafting model beside it."
    ),
    click.option(
        "-ngld", "--gpu-layers-draft", "--spec-draft-ngl", type=Layers(), help="Its layers on the card."
    ),
    click.option("-ctkd", "--cache-type-k-draft", metavar="TYPE", help="Keys of its KV cache."),
    click.option("-ctvd", "--cache-type-v-draft", metavar="TYPE", help="Values of its KV cache."),
    click.option(
        "--draft-max", "--spec-draft-n-max", type=click.IntRange(1, 64), help="Tokens drafted at once: 3."
    ),
    click.option(
        "--engine-build",
        type=Build(),
        metavar="bNUMBER",
        help="The llama.cpp build that will run it; the newest known (for --gpu: by logs of cards).",
    ),
    click.option("-t", "--threads", type=click.IntRange(1, 4096), help="Threads of the engine."),
)

_MACHINE: Final = (
    click.option("--gpu", multiple=True, metavar="NAME", help="A card that you do not have; again for each."),
    click.option(
        "--vram", multiple=True, type=Memory(), help="Memory of the card(s): 12G; a bare number is GiB."
    ),
    click.option("--held", type=Memory(MIB), default=0, help="What other programs hold of each card: 800M."),
    click.option("--ram", type=Memory(), help="Main memory: 32G."),
    click.option(
        "--ram-bandwidth",
        type=FiniteRange(1, 10_000),
        metavar="GB/S",
        help="Of main memory, all channels.",
    ),
    click.option("--measure-ram", is_flag=True, help="Measure main memory first: a second, all processors."),
    click.option("--cpu-only", "--cpu", is_flag=True, help="Without a card."),
)

_OUTPUT: Final = (
    click.option("--compare", is_flag=True, help="One table of several models, cards, or both."),
    click.option(
        "--prompt-tokens", type=TokenCount(), default=2048, help="Prompt for the time to the first token."
    ),
    click.option("--check", is_flag=True, help="Let the engine's own dry run judge the plan."),
    click.option(
        "-v", "--verbose", "--explain", is_flag=True, help="Every part with its formula and source."
    ),
    click.option("--svg", type=click.Path(dir_okay=False), metavar="FILE", help="Write a picture too."),
    click.option("--json", "as_json", is_flag=True, help="Print everything as JSON."),
    click.option("--use-token", is_flag=True, help="Send your hub token to the hub if it asks for one."),
)


def plan_options(command: Command) -> Command:
    """Add all of them."""
    for option in reversed((*_ENGINE, *_MACHINE, *_OUTPUT)):
        command = option(command)
    return command
