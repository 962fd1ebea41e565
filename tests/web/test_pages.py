"""Pages as they are drawn, without a browser: what is to scale is to scale, what is foretold is told so."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from tests.faults.cases import CASES
from tests.live import made
from tests.plan.models import anatomy
from tests.web.site import made_maps

from bringup.actions.diagnosis.doctor import Verdict
from bringup.actions.live.engine_map import compare, draw_map
from bringup.actions.live.faults import Health, RootFault
from bringup.actions.live.view import open_view
from bringup.faces.web.charts import WIDTH
from bringup.faces.web.drawer import Drawer
from bringup.faces.web.layout import banner
from bringup.faces.web.memory_map import card_slices, layer_slices, planned_slices, slot_slices
from bringup.faces.web.pages.explain import fault_page
from bringup.faces.web.pages.house import floors_of
from bringup.faces.web.pages.memory import memory_parts
from bringup.faces.web.pages.now import term_now
from bringup.faces.web.pages.stack import stack_parts
from bringup.faces.web.pages.stack_parts import parts_of
from bringup.faults._fault import Layer
from bringup.plan.layer_map import Piece
from bringup.plan.request import Request
from bringup.reading import NOT_LOOKED, Known
from bringup.stack.distribution import Distribution
from bringup.stack.kernel import Kernel
from bringup.stack.stack import Stack
from bringup.units import GIB, MIB

ENGINE = made.engine()
CARDS = made.cards((ENGINE,))
MAP = draw_map(anatomy("gpt-oss-20b"), ENGINE, CARDS, Request(), "nothing")


def test_the_weights_of_all_layers_are_as_much_as_was_measured() -> None:
    slices = layer_slices(MAP.layers, "CUDA0", 6 * GIB)
    assert sum(one.amount for one in slices) == pytest.approx(6 * GIB)
    experts = [one for one in slices if one.look.startswith("experts")]
    assert len(experts) == sum(
        bool(one.bytes_of(Piece.EXPERTS)) for one in MAP.layers if one.device == "CUDA0"
    )
    assert layer_slices(MAP.layers, "CUDA1", 6 * GIB) == []


def test_a_card_s_parts_are_the_whole_card() -> None:
    slices = card_slices(CARDS[0], (ENGINE,), {ENGINE.process_id: MAP})
    assert sum(one.amount for one in slices) == pytest.approx(12 * GIB)
    filled = sum(one.amount for one in slices if one.look == "kv-filled")
    share = ENGINE.filled_share
    assert share is not None
    assert filled == pytest.approx(1024 * MIB * share)
    assert {"KV cache of slot 0", "KV cache of slot 1"} <= {one.words[:18] for one in slices}


def test_a_slot_that_tells_nothing_is_not_drawn_full_or_empty() -> None:
    silent = replace(ENGINE, slots=NOT_LOOKED)
    assert [one.words for one in slot_slices(silent, GIB)] == [
        "KV cache 1.0 GiB of gpt-oss-20b; how full: not told"
    ]


def test_the_plan_is_drawn_to_the_scale_of_what_is_measured() -> None:
    drawn = memory_parts(replace(made.sample(), engines=(ENGINE,)), made_maps)["cards"]
    planned = {one.words: one.amount for one in planned_slices(compare(MAP, ENGINE, "CUDA0", CARDS[0]))}
    words, size = next((words, size) for words, size in planned.items() if "weights" in words)
    found = re.search(rf'aria-label="{re.escape(words)}"[^>]*><rect x="0" y="57" width="([\d.]+)"', drawn)
    assert found
    assert float(found[1]) == pytest.approx(WIDTH * size / (12 * GIB), abs=0.01)


def test_the_house_has_all_of_main_memory() -> None:
    sample = made.sample()
    assert isinstance(sample.memory.floors, Known)
    assert sum(size for _, _, size, _ in floors_of(sample)) == sample.memory.floors.value.total_bytes


@pytest.mark.parametrize("name", ["memory", "live", "term-vram"])
def test_a_page_opened_too_early_has_all_its_parts(name: str) -> None:
    """The stream replaces parts by name: one that is not there could never come up."""
    view = open_view(str(CASES / "driver-library-mismatch/morning"), interval_s=1.0)
    drawer = Drawer(view, lambda *_: NOT_LOOKED)
    early = drawer.draw(name)
    assert "under way" in next(iter(early.values()))
    view.sampler._publish(view.sampler.look(), None)
    assert drawer.draw(name).keys() - {"banner"} == early.keys()
    view.sampler._publish(None, ValueError("made"))
    failed = drawer.draw(name)
    assert failed.keys() == early.keys()
    assert "made" in next(iter(failed.values()))


def test_what_is_foretold_is_no_alarm() -> None:
    ahead = RootFault("disk-full", "The disk is nearly full", is_sure=True, is_ahead=True)
    calm = banner(Health(Verdict.FAULTS, (ahead,)))
    assert "Foretold, nothing fails yet: " in calm
    assert 'class="banner ahead"' in calm
    both = banner(Health(Verdict.FAULTS, (ahead, replace(ahead, is_ahead=False))))
    assert 'class="banner"' in both
    assert banner(None) == banner(Health(Verdict.HEALTHY, ())) == ""


@pytest.mark.parametrize(
    ("case", "count"),
    [
        ("driver-library-mismatch/next-kernel-bare", "1 root fault, 1 foretold"),
        ("driver-library-mismatch/morning", "1 root fault<"),
        ("module-missing-for-next-kernel/bare", "1 foretold: nothing fails yet"),
        ("module-missing-for-next-kernel/ready", "No fault was found, and not everything could be seen"),
    ],
)
def test_the_stack_counts_what_is_open_and_what_is_ahead(case: str, count: str) -> None:
    view = open_view(str(CASES / case), interval_s=1.0)
    examination = view.faults.look_now()
    assert count in stack_parts(examination)["stack"]
    assert "embedded engine" not in stack_parts(examination)["stack"], "of a machine that was recorded"
    assert "<b>embedded engine</b> 2026.1" in stack_parts(examination, embedded="2026.1")["stack"]


def test_a_term_has_figures_of_now_where_a_sample_has_any() -> None:
    assert "8.2 GiB" in term_now("vram", made.sample())
    assert "Nothing of it is there now" in term_now("vram", made.without_cards("gone"))
    assert term_now("dkms", made.sample()) == term_now("no-such-term", None) == ""


def test_a_faults_page_says_of_each_step_what_the_terminal_says() -> None:
    page = str(fault_page("port-in-use"))
    assert "<code>bringup stop</code>" in page
    assert "`" not in page
    assert "looks only<" in page
    assert "disruptive; touches the service ollama; undo: " in page


def test_a_distribution_whose_name_has_its_version_is_said_once() -> None:
    kernel = Kernel(
        distribution=Known(
            Distribution("debian", "Debian GNU/Linux 12 (bookworm)", "12", ()), "/etc/os-release"
        )
    )
    parts = [(part.name, part.state) for part in parts_of(Layer.KERNEL, Stack(kernel=kernel))]
    assert parts[0] == ("Debian GNU/Linux 12 (bookworm)", "")
