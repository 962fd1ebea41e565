"""A sample as lines: machine, cards, engines, processes. `top --once` prints them, `top` draws them again."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

from bringup.actions.live.faults import Health, RootFault
from bringup.actions.live.sample import LiveProcess, Sample
from bringup.actions.log.timeline import Item
from bringup.faces.render.bars import Segment, stacked_bar
from bringup.faces.render.clean import clean
from bringup.faces.render.console import Style, Styled
from bringup.faces.render.format import Column, flow, format_bytes, format_percent, format_table, truncate
from bringup.faces.render.live_cards import card_lines, driver_lines
from bringup.faces.render.live_engines import engine_lines
from bringup.machine import clock
from bringup.reading import Absent, Known

Line = tuple[str | Styled, ...]

COLUMNS: Final = (
    Column("PID", right=True),
    Column("USER"),
    Column("CARD"),
    Column("VRAM", right=True),
    Column("RAM", right=True),
    Column("CPU", right=True),
    Column("COMMAND", elastic=True),
)
_BAR_LEAST_COLUMNS: Final = 10


def render_sample(sample: Sample, health: Health | None, *, width_columns: int) -> list[Line]:
    """Everything, top down."""
    lines = [
        *machine_lines(sample, width_columns=width_columns),
        *health_lines(health, width_columns=width_columns),
    ]
    lines += [("",), *cards_lines(sample, width_columns=width_columns)]
    lines += [("",), *engines_lines(sample, width_columns=width_columns), ("",)]
    rows = [process_row(process) for process in sample.processes]
    return lines + [(line,) for line in format_table(COLUMNS, rows, width_columns=width_columns)]


def machine_lines(sample: Sample, *, width_columns: int) -> list[Line]:
    """Time, processors and main memory with its floors."""
    cpus = f" of {sample.cpus.value} CPUs" if isinstance(sample.cpus, Known) else ""
    busy = format_percent(sample.cpu_share.value) + cpus if isinstance(sample.cpu_share, Known) else "?"
    head: Line = (
        Styled(clock.local_time_text(sample.taken_s), Style.BOLD),
        f"  {sample.subject}  CPU {busy}",
    )
    return [head, *_memory_lines(sample, width_columns)]


def _memory_lines(sample: Sample, width_columns: int) -> list[Line]:
    if not isinstance(sample.memory.floors, Known):
        return [("RAM  could not be looked at: ", getattr(sample.memory.floors, "why", "not there"))]
    floors = sample.memory.floors.value
    segments = [
        ("kernel", Segment(floors.kernel_bytes + floors.other_bytes, "▚", Style.MAGENTA)),
        ("programs", Segment(floors.programs_bytes + floors.huge_bytes, "█", Style.GREEN)),
        ("shared", Segment(floors.shared_bytes, "▓", Style.CYAN)),
        ("page cache", Segment(floors.cache_bytes, "▒", Style.BLUE)),
    ]
    told = [f"{name} {format_bytes(segment.amount)}" for name, segment in segments]
    told.append(f"free {format_bytes(floors.free_bytes)}")
    models = sum(
        engine.model_cached_bytes.value
        for engine in sample.engines
        if isinstance(engine.model_cached_bytes, Known)
    )
    if models:
        told[3] += f" (model files {format_bytes(models)})"
    swapped = floors.swap_total_bytes - floors.swap_free_bytes
    swap = f"swap {format_bytes(swapped)} of {format_bytes(floors.swap_total_bytes)}"
    told.append(swap if floors.swap_total_bytes else "no swap")
    if isinstance(sample.memory.pressure, Known):
        told.append(f"pressure {sample.memory.pressure.value.some_pct:.0f} %")
    used = f"  {format_bytes(floors.available_bytes)} available of {format_bytes(floors.total_bytes)}"
    bar_columns = max(_BAR_LEAST_COLUMNS, width_columns - len(used) - 5)
    bar = stacked_bar([segment for _, segment in segments], floors.total_bytes, bar_columns)
    return [("RAM  ", *bar, used), *((" " * 5, line) for line in flow(told, width_columns - 5))]


def health_lines(health: Health | None, *, width_columns: int) -> list[Line]:
    """The root faults, those too that are only foretold; nothing on a healthy machine."""
    if health is None:
        return []
    lines: list[Line] = []
    for root in health.roots:
        word, style = _standing(root)
        told = textwrap.wrap(
            f"{root.title} [{root.id}]", max(width_columns - len(word), 20), break_on_hyphens=False
        )
        lines += [
            (Styled(word, style) if number == 0 else " " * len(word), part)
            for number, part in enumerate(told)
        ]
    return lines


def _standing(root: RootFault) -> tuple[str, Style]:
    """Whether it is there, may be, or comes."""
    if root.is_ahead:
        return "ahead  ", Style.YELLOW
    return ("fault  ", Style.RED) if root.is_sure else ("likely  ", Style.YELLOW)


def event_lines(events: Sequence[Item], *, width_columns: int) -> list[Line]:
    """The journal's last entries, one line each; nothing where there are none."""
    lines: list[Line] = []
    for item in events:
        first = clean(item.text).partition("\n")[0]
        head = f"{clock.local_time_text(item.at_s)[5:16]}  {item.kind:8} "
        lines.append((Styled(head, Style.DIM), truncate(first, max(10, width_columns - len(head)))))
    return lines


def cards_lines(sample: Sample, *, width_columns: int) -> list[Line]:
    """All cards, or why there are none to show."""
    if not isinstance(sample.cards, Known):
        return driver_lines(sample.driver)
    if not sample.cards.value:
        return [("No NVIDIA card answers the driver.",)]
    lines: list[Line] = []
    for card in sample.cards.value:
        lines += card_lines(card, width_columns=width_columns)
    return lines


def engines_lines(sample: Sample, *, width_columns: int) -> list[Line]:
    """All engines."""
    if not sample.engines and sample.engines_trouble:
        return [("Engines could not be looked for: ", sample.engines_trouble)]
    if not sample.engines:
        return [("No engine is running. ", Styled("bringup serve MODEL", Style.CYAN), " starts one.")]
    cards = sample.cards.value if isinstance(sample.cards, Known) else ()
    lines: list[Line] = []
    for engine in sample.engines:
        lines += engine_lines(engine, cards, width_columns=width_columns)
    return lines


def process_row(process: LiveProcess) -> tuple[str, ...]:
    """One process as the cells of `COLUMNS`."""
    known = [size for _, size in process.cards if size is not None]
    on_card = format_bytes(sum(known)) if known else "?"
    return (
        str(process.process_id),
        process.user,
        ",".join(str(number) for number, _ in process.cards) or "-",
        on_card if process.cards else "-",
        format_bytes(process.resident_bytes),
        format_percent(process.cpu_share),
        _command_words(process) or process.name,
    )


def _command_words(process: LiveProcess) -> str:
    """The command without the folder of its program, which would fill the room for what tells it apart."""
    if not process.command:
        return ""
    program, *rest = process.command
    return " ".join((program.rpartition("/")[2] if program.startswith("/") else program, *rest))


def why_unseen(reading: object) -> str:
    """Why a look gave nothing, in words."""
    if isinstance(reading, Absent):
        return "not there"
    return str(getattr(reading, "why", "nobody looked"))
