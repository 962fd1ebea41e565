"""Shares of a card, speeds, slots, totals, buffers, bars: arithmetic, each with its near miss."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.actions.live.card_shares import planned_shares, share_memory
from bringup.actions.live.engine_watch import LATELY_S, SpeedMeter
from bringup.actions.live.history import COARSE_POINTS, FINE_POINTS, History, Point
from bringup.actions.live.planned_speed import PlannedPart, PlannedSpeed, Span
from bringup.actions.live.sample import EngineMemory, LiveCard, LiveEngine, Share, Use
from bringup.engine.answers import Slot, read_slots
from bringup.engine.totals import EngineTotals, parse_totals
from bringup.faces.render.bars import BAR_CHARACTERS, Segment, sparkline, stacked_bar, without_blocks
from bringup.faces.render.console import Style
from bringup.faces.render.live_cards import card_lines
from bringup.plan.predict import Estimate
from bringup.reading import NOT_LOOKED, Absent, Known, Reading
from bringup.stack.card_load import CardLoad
from bringup.stack.engine_buffers import Buffer, BufferUse, read_buffers
from bringup.stack.nvml import Card, GpuMemory, GpuProcess
from bringup.stack.processes import CpuTimes, parse_cpu_times, parse_stat
from bringup.units import MIB

SLOT = {
    "id": 1,
    "n_ctx": 1024,
    "is_processing": True,
    "id_task": 16,
    "n_prompt_tokens": 59,
    "n_prompt_tokens_processed": 7,
    "n_prompt_tokens_cache": 49,
    "next_token": [{"n_decoded": 3}],
}
"""As llama.cpp of November 2026 answers while it generates."""


def test_a_slot_at_work_adds_up() -> None:
    (slot,) = read_slots([SLOT])
    assert (slot.n_reused, slot.n_read, slot.n_generated) == (49, 7, 3)
    assert slot.n_filled == 59
    assert slot.n_prompt_left == 0


def test_a_slot_that_reads_a_prompt_says_what_is_left() -> None:
    (slot,) = read_slots([SLOT | {"n_prompt_tokens": 636, "next_token": [{"n_decoded": 0}]}])
    assert (slot.n_filled, slot.n_prompt_left) == (56, 580)


def test_an_idle_slot_keeps_its_tokens_and_a_fresh_one_has_none() -> None:
    kept, fresh = read_slots([SLOT | {"is_processing": False}, {"id": 0, "n_ctx": 8, "is_processing": False}])
    assert kept.n_filled == 59
    assert fresh.n_filled == 0


def test_a_slot_of_an_older_engine_does_not_pretend() -> None:
    (slot,) = read_slots([{"id": 0, "n_ctx": 512, "id_task": 4, "is_processing": True}])
    assert slot.n_filled is None
    assert slot.n_prompt_left is None


@pytest.mark.parametrize("given", [[None], ["x"], [{}], [{"next_token": 5}], [{"next_token": [None]}]])
def test_strange_slots_are_no_crash(given: list[object]) -> None:
    assert len(read_slots(given)) in (0, 1)


def test_totals() -> None:
    text = "# HELP x\nllamacpp:prompt_tokens_total 636\nllamacpp:prompt_seconds_total 16.8314\n"
    text += "llamacpp:tokens_predicted_total 61\nllamacpp:requests_deferred 2\n"
    text += "llamacpp:tokens_predicted_seconds_total nan\n"
    totals = parse_totals(text)
    assert (totals.prompt_tokens, totals.predicted_tokens, totals.requests_waiting) == (636, 61, 2)
    assert totals.prompt_s == 16.8314
    assert totals.predicted_s is None
    with pytest.raises(ValueError, match="tokens_predicted_total"):
        parse_totals("vllm:tokens 4")


LOG = """\
0.01.519.662 I load_tensors:   CPU_Mapped model buffer size =    92.10 MiB
load_tensors:        CUDA0 model buffer size =  5000.25 MiB
0.01.523.798 I llama_context:        CPU  output buffer size =     0.38 MiB
llama_kv_cache:      CUDA0 KV buffer size =    45.00 MiB
llama_kv_cache:      CUDA0 KV buffer size =     5.00 MiB
sched_reserve:      CUDA0 compute buffer size =    15.64 MiB
sched_reserve:      CUDA0 compute buffer size =    16.00 MiB
"""


def test_buffers_of_a_log() -> None:
    found = {(one.use, one.device): one.size_bytes for one in read_buffers(LOG.splitlines())}
    assert found[BufferUse.WEIGHTS, "CUDA0"] == round(5000.25 * MIB)
    assert found[BufferUse.KV_CACHE, "CUDA0"] == 50 * MIB, "two caches of one model are a sum"
    assert found[BufferUse.COMPUTE, "CUDA0"] == 16 * MIB, "a buffer that grew is not a second one"
    again = read_buffers([*LOG.splitlines(), "load_tensors:   CPU_Mapped model buffer size =    1.00 MiB"])
    assert again == (Buffer(BufferUse.WEIGHTS, "CPU_Mapped", MIB),), "a later load replaces an earlier one"


def test_a_models_words_are_no_buffers() -> None:
    line = "load_tensors:        CUDA0 model buffer size =  1.00 MiB"
    assert read_buffers([line], foreign=frozenset({line})) == ()
    assert read_buffers([f"print_info: general.name = {line}"]) == ()
    assert len(read_buffers([line])) == 1


def test_what_a_template_prints_once_all_is_loaded_is_no_buffer() -> None:
    """A template can put words together that stand nowhere in the file; it is rendered after this line."""
    loaded = "0.01.949.667 I srv    load_model: initializing, n_slots = 1, n_ctx_slot = 2048"
    forged = "load_tensors:        CUDA0 model buffer size =  1.00 MiB"
    assert read_buffers([*LOG.splitlines(), loaded, forged]) == read_buffers(LOG.splitlines())
    early = [loaded, *LOG.splitlines()]
    assert read_buffers(early, foreign=frozenset({loaded})) == read_buffers(LOG.splitlines())


def engine(buffers: tuple[Buffer, ...], *, is_estimate: bool = False) -> LiveEngine:
    slots = read_slots([{"id": 0, "n_ctx": 100, "is_processing": False, "id_task": 1, "n_prompt_tokens": 25}])
    memory: Reading[EngineMemory] = Known(EngineMemory(buffers, "log", is_estimate), "log")
    return LiveEngine(
        process_id=7,
        identity=None,
        program="llama-server",
        name="small",
        model_path="",
        port=8080,
        is_ours=True,
        state="ready",
        slots=Known(slots, "/slots"),
        memory=memory,
    )


def card(used: dict[int, int], *, index: int = 0, total: int = 1000, free: int = 400) -> Card:
    processes = tuple(GpuProcess(pid, Known(size, "NVML"), False, f"p{pid}") for pid, size in used.items())
    return Card(
        index,
        memory=Known(GpuMemory(total, total - free, free), "NVML"),
        processes=Known(processes, "NVML"),
    )


BUFFERS = (
    Buffer(BufferUse.WEIGHTS, "CUDA0", 200),
    Buffer(BufferUse.WEIGHTS, "CPU_Mapped", 999),
    Buffer(BufferUse.KV_CACHE, "CUDA0", 100),
    Buffer(BufferUse.COMPUTE, "CUDA0", 40),
)


def test_an_engines_memory_is_divided_and_the_bar_adds_up() -> None:
    shares = share_memory(card({7: 400, 8: 100}), [engine(BUFFERS)], [card({7: 400, 8: 100})])
    assert [(share.use, share.size_bytes, share.holder) for share in shares] == [
        (Use.WEIGHTS, 200, "small"),
        (Use.KV_FILLED, 25, "small"),
        (Use.KV_RESERVED, 75, "small"),
        (Use.COMPUTE, 40, "small"),
        (Use.OVERHEAD, 60, "small"),
        (Use.OTHER, 100, "p8"),
        (Use.UNSEEN, 100, ""),
        (Use.FREE, 400, ""),
    ]
    assert sum(share.size_bytes for share in shares) == 1000


def test_parts_that_cannot_be_are_not_shown() -> None:
    shares = share_memory(card({7: 300}), [engine(BUFFERS)], [card({7: 300})])
    assert shares[0] == Share(Use.ENGINE, 300, "small", 7)


def test_two_cards_get_their_own_buffers() -> None:
    buffers = (Buffer(BufferUse.WEIGHTS, "CUDA0", 200), Buffer(BufferUse.WEIGHTS, "CUDA1", 90))
    second = card({7: 100}, index=1)
    shares = share_memory(second, [engine(buffers)], [card({7: 210}), second])
    assert [(share.use, share.size_bytes) for share in shares[:2]] == [(Use.WEIGHTS, 90), (Use.OVERHEAD, 10)]


def test_an_estimate_is_divided_as_the_driver_says_that_the_engine_is() -> None:
    guess = engine(
        (Buffer(BufferUse.WEIGHTS, "CPU", 240), Buffer(BufferUse.KV_CACHE, "CPU", 40)), is_estimate=True
    )
    first, second = card({7: 300}), card({7: 100}, index=1)
    shares = share_memory(first, [guess], [first, second])
    assert [(share.use, share.size_bytes) for share in shares[:4]] == [
        (Use.WEIGHTS, 180),
        (Use.KV_FILLED, 8),
        (Use.KV_RESERVED, 22),
        (Use.OVERHEAD, 90),
    ]
    assert all(share.is_estimate for share in shares[:4])
    assert sum(share.size_bytes for share in share_memory(second, [guess], [first, second])) == 1000
    assert share_memory(second, [guess], [first, second])[0] == Share(
        Use.WEIGHTS, 60, "small", 7, is_estimate=True
    )
    alone = share_memory(first, [guess], [first, card({8: 100}, index=1)])
    assert alone[0] == Share(Use.WEIGHTS, 240, "small", 7, is_estimate=True), "the other card is not its"


def test_an_estimate_is_not_divided_where_a_card_does_not_tell() -> None:
    guess = engine((Buffer(BufferUse.WEIGHTS, "CPU", 240),), is_estimate=True)
    first = card({7: 300})
    silent = replace(card({}, index=1), processes=Known((GpuProcess(7, Absent("NVML"), False, "x"),), "NVML"))
    assert share_memory(first, [guess], [first, silent])[0] == Share(Use.ENGINE, 300, "small", 7)
    too_large = engine((Buffer(BufferUse.WEIGHTS, "CPU", 999),), is_estimate=True)
    assert share_memory(first, [too_large], [first])[0] == Share(Use.ENGINE, 300, "small", 7)


def planned(index: int, *parts: tuple[str, int]) -> Reading[PlannedSpeed]:
    one = Span(Estimate(1.0, 1.0, 1.0), Estimate(1.0, 1.0, 1.0))
    told = tuple(PlannedPart(index, name, size) for name, size in parts)
    return Known(PlannedSpeed(one, one, "", told), "its plan")


def test_the_plan_of_an_engine_lies_beside_its_memory() -> None:
    told = planned(0, ("weights", 200), ("kv_cache", 80), ("kv_cache_swa", 20), ("overhead", 50))
    runs = replace(engine(BUFFERS), planned=told)
    assert [(share.use, share.size_bytes) for share in planned_shares(card({7: 400}), [runs])] == [
        (Use.WEIGHTS, 200),
        (Use.KV_RESERVED, 100),
        (Use.OVERHEAD, 50),
    ]
    assert planned_shares(card({8: 400}), [runs]) == (), "it is not on this card"
    assert planned_shares(card({7: 400}, index=1), [runs]) == (), "its plan has nothing here"
    unknown = replace(engine(BUFFERS), planned=NOT_LOOKED)
    assert planned_shares(card({7: 400}), [unknown]) == ()


def test_the_plans_bar_is_drawn_where_the_two_differ() -> None:
    def drawn(measured: int) -> str:
        here = card({7: measured})
        runs = replace(engine(BUFFERS), planned=planned(0, ("weights", 300), ("overhead", 40)))
        shares = share_memory(here, [runs], [here])
        live = LiveCard(here, CardLoad(0), shares, planned_shares(here, [runs]))
        lines = card_lines(live, width_columns=80)
        return "\n".join("".join(p if isinstance(p, str) else p.text for p in line) for line in lines)

    assert "plan 340 B (+18 %)" in drawn(400)
    assert "plan 340 B (-12 %)" in drawn(300)
    assert "plan" not in drawn(350), "as planned"


def test_memory_that_the_driver_does_not_tell_is_unseen() -> None:
    hidden = replace(card({}), processes=Known((GpuProcess(7, Absent("NVML"), False, "x"),), "NVML"))
    assert share_memory(hidden, [], [hidden]) == (Share(Use.UNSEEN, 600), Share(Use.FREE, 400))
    assert share_memory(replace(hidden, memory=NOT_LOOKED), [], [hidden]) == ()


def slots(generated: int, read: int = 0, task: int = 1, *, busy: bool = True) -> Reading[tuple[Slot, ...]]:
    return Known((Slot(0, 100, busy, task, 10, 0, read, generated),), "/slots")


def totals(tokens: int, seconds: float) -> Reading[EngineTotals]:
    return Known(EngineTotals(0, 0.0, 0, tokens, seconds, 0), "/metrics")


def test_speed_now_is_what_the_slots_gained() -> None:
    meter = SpeedMeter()
    assert meter.measure(10.0, slots(5), NOT_LOOKED).generated_now is None, "one look is no speed"
    assert meter.measure(12.0, slots(25), NOT_LOOKED).generated_now == 10.0
    assert meter.measure(13.0, slots(4, task=2), NOT_LOOKED).generated_now == 4.0, "a new request starts at 0"
    assert meter.measure(14.0, slots(4, busy=False), NOT_LOOKED).generated_now == 0.0
    assert meter.measure(15.0, NOT_LOOKED, NOT_LOOKED).generated_now is None


def test_speed_lately_is_the_engines_own_clock() -> None:
    meter = SpeedMeter()
    idle = slots(0, busy=False)
    assert meter.measure(0.0, idle, totals(100, 10.0)).generated_lately is None
    speed = meter.measure(60.0, idle, totals(160, 12.0))
    assert (speed.generated_lately, speed.lately_s) == (30.0, 60.0)
    assert meter.measure(LATELY_S + 100, idle, totals(160, 12.0)).generated_lately is None, "too long ago"
    assert meter.measure(LATELY_S + 101, idle, totals(3, 1.0)).generated_lately is None, "a new engine"


def test_history_is_flat_and_means_what_it_says() -> None:
    history = History()
    for second in range(2000):
        values = (("a", float(second % 2)),) if second != 1999 else ()
        history.add(Point(float(second), values))
    assert len(history.fine) == FINE_POINTS
    assert len(history.coarse) <= COARSE_POINTS
    assert all(0.4 <= value <= 0.6 for _, value in history.series("a", coarse=True))
    assert history.series("a")[-1][0] == 1998.0
    assert history.series("b") == ()


@given(st.lists(st.floats(0, 1e12), max_size=9), st.floats(1, 1e12), st.integers(1, 250))
def test_a_bar_has_its_width_whatever_it_shows(amounts: list[float], total: float, width: int) -> None:
    bar = stacked_bar([Segment(amount, "#", Style.GREEN) for amount in amounts], total, width)
    assert sum(len(piece.text) for piece in bar) == width


def test_a_small_part_is_seen() -> None:
    bar = stacked_bar([Segment(990, "A", Style.GREEN), Segment(1, "B", Style.RED)], 1000, 20)
    assert "".join(piece.text for piece in bar) == "A" * 19 + "B"


def test_a_stat_line_with_a_wicked_name() -> None:
    line = "812 (a) R (b) S 1 812 812 0 -1 4194304 901 0 3 0 71 9 0 0 20 0 5 0 2410 73728 9120 0"
    stat = parse_stat(line)
    assert (stat.process_id, stat.name, stat.state, stat.parent_id) == (812, "a) R (b", "S", 1)
    assert (stat.cpu_ticks, stat.start_ticks, stat.threads, stat.resident_pages) == (80, 2410, 5, 9120)
    for bad in ("", "812", "812 (a) S 1"):
        with pytest.raises(ValueError, match="expected"):
            parse_stat(bad)


def test_processor_time() -> None:
    times = parse_cpu_times("cpu  10 0 10 80 0 0 0 0 5 0\ncpu0 1")
    assert times == CpuTimes(20, 100)
    assert CpuTimes(70, 200).busy_share(times) == 0.5
    assert times.busy_share(times) == 0.0
    with pytest.raises(ValueError, match="cpu"):
        parse_cpu_times("intr 5")


def test_a_terminal_without_block_characters_still_tells_the_parts_apart() -> None:
    parts = [Segment(1, sign, Style.GREEN) for sign in "█▓▒░▚"]
    shown = without_blocks((*stacked_bar(parts, 6, 6), " ", sparkline([0.1, 0.5, 1.0], 1.0, 3)))
    text = "".join(piece if isinstance(piece, str) else piece.text for piece in shown)
    assert text.isascii()
    assert len(set(text[:6])) == 6
    assert not set(BAR_CHARACTERS) & set(text)
