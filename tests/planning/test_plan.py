"""A plan in one piece: verdict, ladder, other ways and the command agree with each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.model.writing import mapped
from tests.planning.made import described, file_of, planned

from bringup.actions.planning.report import Group, PlanReport
from bringup.actions.planning.speed import SpeedTeller
from bringup.errors import WrongUse
from bringup.model.gguf import read_header
from bringup.model.shards import assemble
from bringup.plan.anatomy import take_apart
from bringup.plan.memory import plan_memory
from bringup.plan.rates import HostRates, speed_devices
from bringup.plan.request import CPU, Device, DeviceKind, Request
from bringup.units import GIB, MIB

CARD = described("RTX 3060", ram_gib=64)
FIXED = Request(n_ctx=131_072, n_gpu_layers=-1, n_cpu_moe=0, cache_type_k="f16", cache_type_v="f16")


def value_of(report: PlanReport, option: str) -> str:
    return report.command[report.command.index(option) + 1]


def test_gpt_oss_on_a_card_of_12_gib(gpt_oss: Path) -> None:
    """The question that the tool is for; the cache is llama.cpp's own figure (192 + 18 MiB at 8,192)."""
    report = planned(gpt_oss, CARD, Request(n_ctx=8192))
    assert report.fits
    assert report.verdict.startswith("It fits on the card with 8,192 tokens of context")
    cache = {part.name: part.bytes for part in report.parts if part.name.startswith("kv_cache")}
    assert cache == {"kv_cache": 192 * MIB, "kv_cache_swa": 18 * MIB}
    assert report.command[:3] == ("llama-server", "--model", str(gpt_oss))
    assert value_of(report, "--gpu-layers") == "25"
    assert value_of(report, "--ctx-size") == "8192"


def test_the_ladder_goes_from_4k_to_the_trained_window(gpt_oss: Path) -> None:
    report = planned(gpt_oss, CARD)
    assert [rung.n_ctx for rung in report.ladder] == [4096, 8192, 16_384, 32_768, 65_536, 131_072]
    (chosen,) = [rung for rung in report.ladder if rung.is_chosen]
    assert chosen.n_ctx == report.n_ctx
    assert chosen.uses == report.uses
    for rung in report.ladder:
        assert rung.fits
        assert all(use.left_bytes >= 0 for use in rung.uses)
        assert rung.speed is not None
    assert report.ladder[0].gives_way == ""
    assert "in main memory" in report.ladder[-1].gives_way


def test_a_rung_is_the_plan_that_asking_for_it_gives(gpt_oss: Path) -> None:
    rung = planned(gpt_oss, CARD).ladder[-1]
    asked = planned(gpt_oss, CARD, Request(n_ctx=rung.n_ctx))
    assert asked.uses == rung.uses


def test_each_speed_has_a_band_around_it(gpt_oss: Path) -> None:
    speed = planned(gpt_oss, CARD).speed
    assert speed is not None
    for told in (
        *(speed.generation_empty, speed.generation_full, speed.prompt_empty, speed.prompt_full),
        speed.first_token_s,
    ):
        assert 0 < told.low < told.value < told.high
    assert speed.generation_full.value < speed.generation_empty.value
    assert speed.sources


def test_what_does_not_fit_names_a_fit_that_does(gpt_oss: Path) -> None:
    report = planned(gpt_oss, CARD, FIXED)
    assert not report.fits
    assert report.speed is None
    assert "CUDA0 (NVIDIA GeForce RTX 3060 12GB) has" in report.missing[0]
    nearest = report.nearest_fit
    assert nearest is not None and nearest.options[0] == "--ctx-size"
    n_ctx = int(nearest.options[1])
    assert planned(gpt_oss, CARD, replace(FIXED, n_ctx=n_ctx)).fits
    assert not planned(gpt_oss, CARD, replace(FIXED, n_ctx=n_ctx + 2048)).fits


def test_no_window_is_offered_that_the_model_was_not_trained_for(gpt_oss: Path) -> None:
    report = planned(gpt_oss, CARD, Request(n_ctx=256 * 131_072))
    assert not report.fits
    nearest = report.nearest_fit
    assert nearest is not None and nearest.options == ("--ctx-size", "131072")


def test_each_way_that_is_said_to_fit_does(gpt_oss: Path) -> None:
    report = planned(gpt_oss, CARD, FIXED)
    changes = {
        "--ctx-size": lambda one: {"n_ctx": int(one[1])},
        "--n-cpu-moe": lambda one: {"n_cpu_moe": int(one[one.index("--n-cpu-moe") + 1])},
        "--cache-type-k": lambda one: {"cache_type_k": one[1], "cache_type_v": one[3]},
    }
    seen = set()
    for way in report.alternatives:
        for option, change in changes.items():
            if option in way.options:
                seen.add(option)
                assert planned(gpt_oss, CARD, replace(FIXED, **change(way.options))).fits == way.fits, (
                    way.what
                )
    assert seen == set(changes)
    assert [way.fits for way in report.alternatives] == sorted(
        (w.fits for w in report.alternatives), reverse=True
    )


def test_what_the_user_gave_is_kept(llama: Path) -> None:
    request = Request(
        n_ctx=4096, n_gpu_layers=10, n_ubatch=128, cache_type_k="q8_0", cache_type_v="q5_1", n_parallel=2,
        is_unified=True, offloads_ops=False, is_mapped=False, cache_ram_bytes=0, flash_attention=True,
    )  # fmt: skip
    report = planned(llama, CARD, request, n_threads=3)
    for option, value in {
        "--ctx-size": "4096", "--gpu-layers": "10", "--ubatch-size": "128", "--cache-type-k": "q8_0",
        "--cache-type-v": "q5_1", "--parallel": "2", "--load-mode": "none", "--cache-ram": "0",
        "--flash-attn": "on", "--threads": "3",
    }.items():  # fmt: skip
        assert value_of(report, option) == value
    assert "--kv-unified" in report.command and "--no-op-offload" in report.command
    given = {choice.option for choice in report.choices if choice.is_given}
    assert {"--ctx-size", "--gpu-layers", "--cache-type-k", "--threads", "--kv-unified"} <= given


def test_fewer_layers_than_fit_are_kept_and_the_faster_way_is_named(gpt_oss: Path) -> None:
    report = planned(gpt_oss, CARD, Request(n_gpu_layers=20))
    assert value_of(report, "--gpu-layers") == "20"
    first = report.alternatives[0]
    assert first.options == ("--n-gpu-layers", "auto") and first.cost == "costs nothing: it is faster"


def test_more_experts_in_main_memory_than_have_to_be_are_kept_and_told_of(gpt_oss: Path) -> None:
    report = planned(gpt_oss, CARD, Request(n_cpu_moe=24))
    assert value_of(report, "--n-cpu-moe") == "24"
    assert report.alternatives[0].what == "Leave --n-cpu-moe out"


def test_what_rules_by_name_leave_out_is_said(gpt_oss: Path) -> None:
    report = planned(gpt_oss, CARD, Request(overrides=((r"ffn_.*_exps\.", "CPU"),)))
    assert report.verdict.endswith("and what --override-tensor names in main memory.")
    assert not any("nothing is faster" in reason for reason in report.reasons)
    assert not any("Keep the experts" in way.what for way in report.alternatives)


def test_a_larger_micro_batch_is_named_where_prompts_copy_experts(tmp_path: Path) -> None:
    report = planned(file_of(tmp_path, "Qwen3-30B-A3B"), described("RTX 4060", ram_gib=32))
    (way,) = [way for way in report.alternatives if way.options[:1] == ("--ubatch-size",)]
    assert way.options == ("--ubatch-size", "2048") and "instead of" in way.effect
    larger = planned(
        file_of(tmp_path, "Qwen3-30B-A3B"),
        described("RTX 4060", ram_gib=32),
        Request(n_ubatch=2048, n_ctx=report.n_ctx, n_cpu_moe=int(value_of(report, "--n-cpu-moe"))),
    )
    assert larger.fits and larger.speed is not None and report.speed is not None
    assert larger.speed.first_token_s.value < 0.8 * report.speed.first_token_s.value


def test_only_what_was_given_is_called_given(llama: Path) -> None:
    report = planned(llama, CARD)
    assert [choice.option for choice in report.choices if choice.is_given] == []


def test_slots_and_micro_batch_change_the_plan(llama: Path) -> None:
    def cache(request: Request) -> int:
        return sum(part.bytes for part in planned(llama, CARD, request).parts if part.name == "kv_cache")

    def compute(request: Request) -> int:
        return sum(part.bytes for part in planned(llama, CARD, request).parts if part.name == "compute")

    assert cache(Request(n_ctx=4096, n_parallel=3)) > cache(Request(n_ctx=4096))
    assert compute(Request(n_ctx=4096, n_ubatch=1024)) > compute(Request(n_ctx=4096, n_ubatch=256))


def test_a_desktops_memory_is_not_free(gpt_oss: Path) -> None:
    free = planned(gpt_oss, CARD, Request(n_ctx=16_384))
    taken = planned(gpt_oss, replace(CARD, held_bytes=GIB), Request(n_ctx=16_384))
    assert free.ladder[1].gives_way == ""
    assert taken.ladder[1].gives_way
    groups = taken.uses[0].groups()
    assert groups[Group.OTHERS] == GIB
    assert sum(groups.values()) == taken.uses[0].device.total_bytes


def test_a_card_that_is_too_full_is_named_in_the_verdict(gpt_oss: Path) -> None:
    full = replace(CARD, held_bytes=int(11.6 * GIB))
    assert "alone (the card is not used: too little is free there)" in planned(gpt_oss, full).verdict
    asked = planned(gpt_oss, CARD, Request(n_gpu_layers=0))
    assert asked.verdict.startswith("It fits in main memory with")


def test_where_no_way_fits_it_says_how_much_memory_is_wanting(gpt_oss: Path) -> None:
    """The experts of gpt-oss are of four bits as published: no smaller quantisation saves much."""
    small = described(ram_gib=8)
    report = planned(gpt_oss, replace(small, cpu_only=True))
    assert not report.fits
    nearest = report.nearest_fit
    assert nearest is not None and nearest.what.startswith("Give it more memory: ")
    more = float(nearest.what.removeprefix("Give it more memory: ").split()[0])
    assert planned(gpt_oss, replace(described(ram_gib=8 + more), cpu_only=True)).fits
    assert not planned(gpt_oss, replace(described(ram_gib=8 + more - 0.5), cpu_only=True)).fits


def test_several_cards_and_one_of_them(llama: Path) -> None:
    two = described("RTX 3060", "RTX 4090", ram_gib=64)
    alone = planned(llama, two, Request(n_ctx=8192))
    assert value_of(alone, "--split-mode") == "none"
    assert value_of(alone, "--main-gpu") == "1", "the faster card has room for all"
    first = planned(llama, two, Request(n_ctx=8192), split_mode="none", main_gpu=0)
    assert value_of(first, "--main-gpu") == "0"
    assert first.uses[1].used_bytes == 0
    layered = planned(llama, two, Request(n_ctx=8192), split_mode="layer", main_gpu=1)
    assert any(warning.startswith("--main-gpu is left out") for warning in layered.warnings)
    assert value_of(layered, "--split-mode") == "layer" and "--main-gpu" not in layered.command
    assert all(use.used_bytes for use in layered.uses[:2]), "what was said is kept"
    with pytest.raises(WrongUse, match="there is no card 2"):
        planned(llama, two, split_mode="none", main_gpu=2)
    with pytest.raises(WrongUse, match="2 shares for 1 cards"):
        planned(llama, CARD, Request(tensor_split=(1.0, 1.0)))


def test_a_window_beyond_training_is_planned_and_warned_of(llama: Path) -> None:
    report = planned(
        llama, described("RTX 4090"), Request(n_ctx=262_144, cache_type_k="q4_0", cache_type_v="q4_0")
    )
    assert any("--rope-scale 2" in warning for warning in report.warnings)
    assert report.ladder[-1].is_beyond_training
    assert not report.ladder[-2].is_beyond_training


def test_a_card_that_is_not_listed_is_planned_without_a_speed(llama: Path) -> None:
    report = planned(llama, described("RTX 3061", vram_gib=12))
    assert report.fits and report.speed is None
    assert "CUDA0" in report.no_speed
    assert any("near names: NVIDIA GeForce RTX 3060" in warning for warning in report.warnings)


def test_the_processor_of_another_machine_is_not_put_into_the_command(llama: Path) -> None:
    assert "--threads" not in planned(llama, CARD).command


def test_a_file_that_is_still_being_fetched_is_planned(gpt_oss: Path, tmp_path: Path) -> None:
    path = tmp_path / "half.gguf"
    with gpt_oss.open("rb") as whole:
        path.write_bytes(whole.read(14 * MIB))
    report = planned(path, CARD, Request(n_ctx=8192))
    assert report.fits and not report.can_run
    assert report.verdict.startswith("No engine can load it yet: 11,5")
    assert "Once it is whole: it fits on the card with 8,192 tokens" in report.verdict
    assert any("not whole" in warning for warning in report.warnings)


def test_without_a_card_no_reason_speaks_of_cards(llama: Path) -> None:
    report = planned(llama, described(ram_gib=20), Request(n_ctx=131072))
    (why,) = [one for one in report.reasons if one.startswith("Keys and values as")]
    assert why.endswith("and the window fits.")
    assert not any("on the cards" in one for one in report.reasons)


def test_prompts_go_to_a_card_without_layers(llama: Path) -> None:
    """`-ngl 0` beside a card: the engine sends large batches there, unless `--no-op-offload` keeps them."""
    sent, kept = (
        planned(llama, CARD, Request(n_ctx=8192, n_gpu_layers=0, offloads_ops=offloads)).speed
        for offloads in (True, False)
    )
    assert sent is not None and kept is not None
    assert sent.prompt_empty.value > 3 * kept.prompt_empty.value
    assert sent.generation_empty.value == kept.generation_empty.value
    assert "copying weights over the link to CUDA0" not in sent.bottleneck, "it tells of generation"
    assert "CUDA0 copying weights" in sent.formulas[1] and "CUDA0" not in kept.formulas[1]
    pinned = planned(llama, CARD, Request(n_ctx=8192, n_gpu_layers=0, is_mapped=False)).speed
    assert pinned is not None and pinned.prompt_empty.value > 1.1 * sent.prompt_empty.value


def test_a_card_without_layers_of_which_nothing_is_known_is_told(llama: Path) -> None:
    anatomy = take_apart(assemble([read_header(mapped(llama))]))
    strange = Device("CUDA0", DeviceKind.CUDA, 12 * GIB, 11 * GIB, "NVIDIA GeForce RTX 9999")
    main = Device(CPU, DeviceKind.CPU, 64 * GIB, 60 * GIB)
    rates = HostRates()
    teller = SpeedTeller(anatomy, speed_devices((strange, main), rates), 512, rates)
    plan = plan_memory(anatomy, Request(n_ctx=4096, n_gpu_layers=0), (strange, main))
    assert teller.tell(plan) is not None
    assert any("Nothing is known of CUDA0's speed" in line for line in teller.assumptions(plan))
