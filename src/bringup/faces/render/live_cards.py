"""One card as lines: load, heat, clocks, link, and its memory as one bar by holder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from bringup.actions.live.sample import LiveCard, Share, Use
from bringup.faces.render.bars import Segment, stacked_bar
from bringup.faces.render.console import Style, Styled
from bringup.faces.render.flow import side_by_side
from bringup.faces.render.format import format_bytes, format_rate
from bringup.reading import Absent, Known, Reading
from bringup.stack.nvml import Card, Nvml

Line = tuple[str | Styled, ...]
T = TypeVar("T")

LOOKS: Final = {
    Use.WEIGHTS: ("█", Style.GREEN),
    Use.KV_FILLED: ("▓", Style.CYAN),
    Use.KV_RESERVED: ("▒", Style.CYAN),
    Use.COMPUTE: ("▚", Style.YELLOW),
    Use.OVERHEAD: ("▖", Style.MAGENTA),
    Use.ENGINE: ("█", Style.GREEN),
    Use.OTHER: ("▞", Style.RED),
    Use.UNSEEN: ("░", Style.MAGENTA),
    Use.FREE: ("·", Style.DIM),
}
"""Character and colour of each use; the characters alone tell the uses apart."""

_SHORTER: Final = (
    (Use.KV_FILLED.value, "KV filled"),
    (Use.KV_RESERVED.value, "KV reserved"),
    (Use.UNSEEN.value, "unseen"),
)
_ALIKE: Final = 0.05
"""Plan and measurement that differ by less say the same."""

_QUIET: Final = frozenset({"idle"})


def driver_lines(driver: Nvml) -> list[Line]:
    """Why no card is shown."""
    error = driver.error
    if isinstance(error, Known):
        return [(Styled("The NVIDIA driver does not answer: ", Style.YELLOW), error.value.words)]
    if isinstance(driver.hangs_in, Known):
        return [(Styled("The NVIDIA driver hangs", Style.RED), f" in {driver.hangs_in.value}.")]
    if isinstance(error, Absent):
        return [(f"No NVIDIA driver library on this machine ({error.source}): no card to show.",)]
    return [(Styled("The NVIDIA driver could not be asked: ", Style.YELLOW), error.why)]


def card_lines(live: LiveCard, *, width_columns: int) -> list[Line]:
    """Head, figures, the bar and its legend."""
    return _lines(live, _figures(live), share_text, width_columns)


def brief_card_lines(live: LiveCard, *, width_columns: int) -> list[Line]:
    """The same in fewer words and with the figures that matter most."""
    return _lines(live, _main_figures(live), _short_share_text, width_columns)


def _lines(
    live: LiveCard, figures: list[str | Styled], tell: Callable[[Share], str], width_columns: int
) -> list[Line]:
    card = live.card
    name = card.name.value if isinstance(card.name, Known) else "a card that does not tell its name"
    head: Line = (Styled(f"card {card.index}  ", Style.BOLD), name)
    if isinstance(card.trouble, Known):
        return [(*head, "  ", Styled(card.trouble.value.words, Style.RED))]
    lines = [head, *side_by_side(figures, width_columns)]
    if isinstance(card.memory, Known):
        total = card.memory.value.total_bytes
        told = f"  {format_bytes(total - card.memory.value.free_bytes)} of {format_bytes(total)}"
        plan = _plan_words(live)
        room = max(10, width_columns - 2 - max(len(told), len(plan)))
        lines.append(("  ", *memory_bar(live.shares, total, room), told))
        if plan:
            lines.append(_plan_line(live, plan, total, room))
        lines += _legend(live.shares, tell, width_columns)
    return lines


def _plan_words(live: LiveCard) -> str:
    """What the plan says of the engines' memory here, where the measured one differs; else nothing."""
    of_engines = {share.process_id for share in live.planned}
    measured = sum(share.size_bytes for share in live.shares if share.process_id in of_engines)
    planned = sum(share.size_bytes for share in live.planned)
    if not planned or not measured or abs(measured - planned) <= _ALIKE * measured:
        return ""
    return f"  plan {format_bytes(planned)} ({100 * (measured - planned) / planned:+.0f} %)"


def _plan_line(live: LiveCard, words: str, total_bytes: int, room_columns: int) -> Line:
    """The plan's bar, to the scale of the measured one above it."""
    bar = memory_bar(live.planned, total_bytes, room_columns)
    return ("  ", *(Styled(piece.text, Style.DIM) for piece in bar), Styled(words, Style.DIM))


def memory_bar(shares: Sequence[Share], total_bytes: int, width_columns: int) -> tuple[Styled, ...]:
    """A card's memory to scale."""
    segments = [Segment(share.size_bytes, *LOOKS[share.use]) for share in shares if share.use is not Use.FREE]
    return stacked_bar(segments, total_bytes, width_columns)


def _short_share_text(share: Share) -> str:
    text = share_text(share)
    for long, short in _SHORTER:
        text = text.replace(long, short) if text.startswith(long) else text
    return text


def share_text(share: Share) -> str:
    """A share in words: `weights 6.1 GiB`, `Xorg 210 MiB`; `~` marks an estimate."""
    name = share.holder if share.use in (Use.OTHER, Use.ENGINE) else share.use.value
    return f"{name} {'~' if share.is_estimate else ''}{format_bytes(share.size_bytes)}"


def _legend(shares: Sequence[Share], tell: Callable[[Share], str], width_columns: int) -> list[Line]:
    lines: list[list[str | Styled]] = [["  "]]
    taken = 2
    for share in shares:
        character, style = LOOKS[share.use]
        text = f" {tell(share)}   "
        if taken + 1 + len(text.rstrip()) > width_columns and taken > 2:
            lines.append(["  "])
            taken = 2
        lines[-1] += [Styled(character, style), text]
        taken += 1 + len(text)
    return [tuple(line) for line in lines if len(line) > 1]


def figure_words(live: LiveCard) -> list[str]:
    """A card's figures as short texts."""
    return [piece.text if isinstance(piece, Styled) else piece for piece in _figures(live)]


def _figures(live: LiveCard) -> list[str | Styled]:
    card, load = live.card, live.load
    words: list[str | Styled] = [_told(load.busy_pct, "busy {} %")]
    words += (
        [f"memory busy {load.memory_busy_pct.value} %"] if isinstance(load.memory_busy_pct, Known) else []
    )
    words.append(_told(card.temperature_c, "{} °C"))
    words.append(_power(card))
    words += [f"fan {load.fan_pct.value} %"] if isinstance(load.fan_pct, Known) else []
    words.append(f"{_told(card.clock_mhz, '{:,} MHz')}")
    words += _held(card)
    words.append(_link(live))
    if isinstance(load.traffic_in_bytes_per_s, Known) and isinstance(load.traffic_out_bytes_per_s, Known):
        inward, outward = load.traffic_in_bytes_per_s.value, load.traffic_out_bytes_per_s.value
        words.append(f"in {format_rate(inward)}, out {format_rate(outward)}")
    return words


def _main_figures(live: LiveCard) -> list[str | Styled]:
    card = live.card
    words: list[str | Styled] = [_told(live.load.busy_pct, "busy {} %"), _told(card.temperature_c, "{} °C")]
    return [*words, _power(card), *_held(card)]


def _held(card: Card) -> list[str | Styled]:
    """What holds the clocks down; nothing where nothing does."""
    reasons = card.clock_reasons.value if isinstance(card.clock_reasons, Known) else ()
    held = [reason for reason in reasons if reason not in _QUIET]
    return [Styled(f"held down by {', '.join(held)}", Style.YELLOW)] if held else []


def _power(card: Card) -> str:
    limit = f" of {card.power_limit_mw.value / 1000:.0f}" if isinstance(card.power_limit_mw, Known) else ""
    return f"{card.power_mw.value / 1000:.0f}{limit} W" if isinstance(card.power_mw, Known) else "? W"


def _link(live: LiveCard) -> str:
    card = live.card
    now = f"PCIe {_told(card.link_generation, '{}')} x{_told(card.link_width_lanes, '{}')}"
    if isinstance(live.load.link_generation_most, Known) and isinstance(card.link_width_most_lanes, Known):
        return f"{now} (at most {live.load.link_generation_most.value} x{card.link_width_most_lanes.value})"
    return now


def _told(reading: Reading[T], form: str) -> str:
    return form.format(reading.value) if isinstance(reading, Known) else form.replace(":,", "").format("?")
