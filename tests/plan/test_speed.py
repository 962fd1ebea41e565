"""The roofline: what must hold whatever the measured figures are, and some figures as they are now."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.plan.card_names import card_named
from bringup.plan.predict import predict_works
from bringup.plan.rates import HostRates, Origin, card_rates, host_device, host_rates, planned_device
from bringup.plan.request import DeviceKind
from bringup.plan.shared_speed import divided, part_of
from bringup.plan.speed import band_name
from bringup.plan.speed_calibration import BANDS, FAR_BANDS, MEASURED_FAMILIES, SHARES, UNSEEN_BANDS
from bringup.plan.work import Age, Attention, Backend, DeviceWork, Kind, Matrices, Role, RunTraits
from bringup.reading import Known, Unreadable
from bringup.units import GIB

CARD = card_rates(card_named("RTX 3060"), "CUDA0", Backend.CUDA)
HOST = host_device(HostRates())
TRAITS = RunTraits()
LAYERS = 32
LAYER_PARAMETERS = 218_000_000


def model(on_card: int, *, experts: float = 1.0) -> tuple[DeviceWork, ...]:
    """A model like Llama-3 8B as Q4_0; `experts` is the part of its weights that a token uses."""

    def work(device: object, layers: int, output: int) -> DeviceWork:
        parameters = layers * LAYER_PARAMETERS
        stored = parameters * 4.5 / 8
        matrices = Matrices(
            Kind.Q4_0,
            Role.EXPERT if experts < 1 else Role.LAYER,
            stored,
            stored * experts,
            parameters * experts,
            experts,
            layers * 90_000,
        )
        return DeviceWork(
            CARD if device is CARD else HOST,
            (matrices,),
            (Attention(layers * 4096, layers * 16384),),
            n_layer=layers + output,
        )

    parts = [work(CARD, on_card, 1)] if on_card else []
    return (*parts, *([work(HOST, LAYERS - on_card, 0 if on_card else 1)] if on_card < LAYERS else []))


def speed(works: tuple[DeviceWork, ...], *, n_prompt: int = 512, n_past: int = 0) -> tuple[float, float]:
    found = predict_works(works, TRAITS, n_prompt=n_prompt, n_past=n_past)
    return found.prompt_tokens_per_s.value, found.generation_tokens_per_s.value


def test_each_layer_on_the_card_makes_it_faster() -> None:
    speeds = [speed(model(on_card))[1] for on_card in range(0, LAYERS + 1, 4)]
    assert speeds == sorted(speeds)
    assert speeds[-1] > 3 * speeds[0]


def test_a_prompt_is_multiplied_with_the_output_matrix_once() -> None:
    """A vocabulary that is eight times as large costs each generated token, and a prompt one more look."""

    def with_output(parameters: float) -> tuple[DeviceWork, ...]:
        (work,) = model(LAYERS)
        output = Matrices(Kind.Q4_0, Role.OUTPUT, parameters, parameters, parameters)
        return (replace(work, matrices=(*work.matrices, output)),)

    (small_prompt, small), (large_prompt, large) = (speed(with_output(size * 1e8)) for size in (1, 8))
    assert large < 0.9 * small
    assert 0.97 * small_prompt < large_prompt < small_prompt


@given(st.integers(0, 60_000), st.integers(1, 60_000))
def test_a_longer_context_is_never_faster(depth: int, more: int) -> None:
    for on_card in (0, 16, LAYERS):
        near, far = speed(model(on_card), n_past=depth), speed(model(on_card), n_past=depth + more)
        assert far[0] <= near[0]
        assert far[1] <= near[1]


@given(st.floats(1.01, 8))
def test_more_bandwidth_is_faster(factor: float) -> None:
    (work,) = model(LAYERS)
    wider = replace(
        work, device=replace(work.device, bandwidth_bytes_per_s=work.device.bandwidth_bytes_per_s * factor)
    )
    assert speed((wider,))[1] > speed((work,))[1]
    assert speed((wider,))[1] < factor * speed((work,))[1]


@given(st.integers(1, 4096), st.integers(1, 4096))
def test_a_longer_prompt_takes_longer(first: int, more: int) -> None:
    for on_card in (0, 16, LAYERS):
        if on_card == 16:  # from 32 tokens on weights are copied to the card, and the time may jump
            first = max(first, 32)
        times = [
            predict_works(model(on_card), TRAITS, n_prompt=length, n_past=0).time_to_first_token_s.value
            for length in (first, first + more)
        ]
        assert times[0] < times[1]


def test_generation_never_beats_the_memory() -> None:
    """The weights of the card's layers, read once a token, at the data sheet's rate."""
    (work,) = model(LAYERS)
    limit = work.device.bandwidth_bytes_per_s / work.matrices[0].read_bytes
    assert speed((work,))[1] < limit


def test_a_token_that_uses_an_eighth_of_the_experts_is_faster_but_not_eight_times() -> None:
    whole, eighth = speed(model(LAYERS))[1], speed(model(LAYERS, experts=1 / 8))[1]
    assert 1.5 * whole < eighth < 8 * whole


def test_bands_lie_around_their_figures() -> None:
    assert set(BANDS) == {
        f"{where}/{phase}"
        for where in ("cpu", "partial", "dense", "experts")
        for phase in ("prompt", "generation")
    }
    for on_card in (0, 16, LAYERS):
        found = predict_works(model(on_card), TRAITS, n_prompt=512, n_past=0)
        for estimate in (
            found.prompt_tokens_per_s,
            found.generation_tokens_per_s,
            found.time_to_first_token_s,
        ):
            assert estimate.low < estimate.value < estimate.high


def test_a_card_that_nobody_measured_has_a_wider_band_and_says_so() -> None:
    """An RTX 4060 is told by other cards of its generation, an RX 6800 XT by none."""
    for name, bands, said in (
        ("RTX 3060", BANDS, ""),
        ("RTX 4060", UNSEEN_BANDS, "told by cards of its generation"),
        ("RX 6800 XT", FAR_BANDS, "nor any card of its generation"),
    ):
        (work,) = model(LAYERS)
        card = card_rates(card_named(name), "CUDA0", Backend.CUDA)
        found = predict_works((replace(work, device=card),), TRAITS, n_prompt=512, n_past=0)
        speed = found.generation_tokens_per_s
        assert (speed.low / speed.value, speed.high / speed.value) == pytest.approx(bands["dense/generation"])
        assert [said in line for line in found.sources].count(True) == (len(found.sources) if not said else 1)
    assert card_named("RX 6800 XT").family.value not in MEASURED_FAMILIES
    for name, (low, high) in BANDS.items():
        assert (
            FAR_BANDS[name][0]
            <= UNSEEN_BANDS[name][0]
            <= low
            < high
            <= UNSEEN_BANDS[name][1]
            <= FAR_BANDS[name][1]
        )


def test_engines_that_did_not_fuse_delta_nets_start_more() -> None:
    """A delta net's state and that of Mamba-2 each had their step; the other is not moved by it."""
    (whole,) = model(LAYERS)
    work = replace(whole, n_layer_recurrent=24, state_bytes=24 * 524288 * 4)
    for is_scanned in (False, True):
        here = replace(work, is_scanned=is_scanned)
        new, old = (
            predict_works(
                (here,),
                replace(TRAITS, fuses_deltas=is_new, multiplies_states=is_new),
                n_prompt=512,
                n_past=0,
            )
            for is_new in (True, False)
        )
        same = old.generation_tokens_per_s == new.generation_tokens_per_s
        assert same is is_scanned
        assert (old.prompt_tokens_per_s.value < new.prompt_tokens_per_s.value) is is_scanned


def test_attention_passes_over_what_a_window_hides_where_the_kernels_do() -> None:
    """Metal looks at the window alone; CUDA at all that is cached beside it, more with a larger batch."""
    for backend, grows in ((Backend.METAL, False), (Backend.CUDA, True)):
        (work,) = model(LAYERS)
        device = replace(work.device, backend=backend)
        sliding = replace(work.attention[0], window_tokens=128)
        rates = [
            predict_works(
                (replace(work, device=device, attention=(sliding,)),),
                RunTraits(n_ubatch=size),
                n_prompt=1,
                n_past=32_768,
            ).generation_tokens_per_s.value
            for size in (256, 2048)
        ]
        assert (rates[1] < rates[0]) is grows


def test_it_says_what_it_waits_for_and_where_the_figures_come_from() -> None:
    found = predict_works(model(16), TRAITS, n_prompt=512, n_past=0)
    assert "reading the weights from CPU's memory" in found.bottleneck
    assert found.formula.startswith("one token: ")
    assert any("360 GB/s, data sheet" in source for source in found.sources)
    assert any("assumed" in source for source in found.sources)


def test_each_measured_share_is_a_possible_one() -> None:
    for name, value in SHARES.items():
        assert value > 0, name
        if name.startswith("read/") and name.count("/") == 1 and name != "read/experts":
            assert value < 1.15, name


def test_a_measured_memory_beats_the_modules_and_these_an_assumption() -> None:
    measured, modules = Known(40e9, "probe"), Known(51.2e9, "dmidecode")
    assert host_rates(measured=measured, modules=modules).origin is Origin.MEASURED
    assert host_rates(modules=modules).bandwidth_bytes_per_s == 51.2e9
    assert host_rates(modules=Unreadable("dmidecode", "not root")).origin is Origin.ASSUMED


def test_a_slow_slot_holds_back_what_is_copied() -> None:
    slow = card_rates(card_named("RTX 3060"), "CUDA0", Backend.CUDA, slot_bytes_per_s=2e9)
    works = model(16)
    card, host = works
    assert speed((replace(card, device=slow), host))[0] < 0.8 * speed(works)[0]


IDLE = DeviceWork(CARD, (), (), n_layer=0)


def test_an_idle_card_reads_prompts_of_weights_in_main_memory() -> None:
    """It takes their way over the link for each micro-batch; generation has nothing of it."""
    (host,) = model(0)
    alone, beside = speed((host,)), speed((IDLE, host))
    assert beside[0] > 2 * alone[0]
    assert beside[1] == alone[1]
    copied = host.matrices[0].total_bytes / CARD.link_bytes_per_s
    assert beside[0] < 512 / copied
    assert speed((IDLE, host), n_prompt=31)[0] == speed((host,), n_prompt=31)[0]
    bands = {
        n_prompt: band_name((IDLE, host), n_prompt=n_prompt, run=TRAITS) for n_prompt in (0, 31, 32, 512)
    }
    assert bands == {0: "cpu/generation", 31: "cpu/prompt", 32: "partial/prompt", 512: "partial/prompt"}
    kept = replace(TRAITS, offloads_ops=False)
    told = predict_works((IDLE, host), kept, n_prompt=512, n_past=0)
    assert told.prompt_tokens_per_s.value == pytest.approx(alone[0])


def test_a_larger_micro_batch_copies_less_often() -> None:
    (host,) = model(0)
    small, large = (
        predict_works((IDLE, host), RunTraits(n_ubatch=size), n_prompt=4096, n_past=0) for size in (512, 2048)
    )
    assert large.prompt_tokens_per_s.value > 1.3 * small.prompt_tokens_per_s.value


def test_a_bound_cache_keeps_attention_on_the_processor() -> None:
    (host,) = model(0)
    bound = replace(host, keeps_attention=True)
    free, kept = (speed((IDLE, work), n_past=32_768)[0] for work in (host, bound))
    assert kept < 0.8 * free


def test_the_fewer_tokens_the_fewer_experts_are_copied() -> None:
    (host,) = model(0, experts=1 / 16)
    times = [
        predict_works((IDLE, host), RunTraits(n_ubatch=size), n_prompt=size, n_past=0)
        for size in (32, 64, 512)
    ]
    seconds = [told.time_to_first_token_s.value for told in times]
    assert seconds[0] < 0.95 * seconds[1] < seconds[2]
    assert seconds[2] < 4 * seconds[0]


def test_cards_do_not_take_turns_beside_main_memory() -> None:
    """llama.cpp pipelines micro-batches over cards only where nothing of the model is in main memory."""
    (whole,) = model(LAYERS)
    half = part_of(whole, CARD, 0.5)
    (few,) = model(0)
    crumb = part_of(few, HOST, 1e-6)
    pair = predict_works((half, half), TRAITS, n_prompt=4096, n_past=0)
    beside = predict_works((half, half, crumb), TRAITS, n_prompt=4096, n_past=0)
    assert beside.prompt_tokens_per_s.value < 0.8 * pair.prompt_tokens_per_s.value


def test_cards_that_share_all_matrices_work_at_once_and_wait_for_each_other() -> None:
    """Two series of real runs: two RTX 3060 gain 1.64 times, two RTX 5060 Ti 1.68 times in generation."""
    (whole,) = model(LAYERS)
    traits = replace(TRAITS, n_embd_exchanged=4096)
    one = speed((whole,))
    pair = predict_works(divided(whole, (CARD, CARD), ()), traits, n_prompt=512, n_past=0)
    gain = pair.generation_tokens_per_s.value / one[1]
    assert 1.4 < gain < 1.9
    assert "exchanging results" in pair.prompt_formula
    low, value, high = (getattr(pair.generation_tokens_per_s, name) for name in ("low", "value", "high"))
    assert high / low > 1.8 and low < value < high
    uneven = predict_works(divided(whole, (CARD, CARD), (3, 1)), traits, n_prompt=512, n_past=0)
    assert uneven.generation_tokens_per_s.value < 0.8 * pair.generation_tokens_per_s.value


def test_older_engines_write_packed_weights_out_first() -> None:
    """For each micro-batch anew, so that small ones lose more."""
    card = card_rates(card_named("RTX 4090"), "CUDA0", Backend.CUDA)
    (work,) = model(LAYERS)
    works = (replace(work, device=card),)

    def loss(n_ubatch: int) -> float:
        new, old = (
            predict_works(works, RunTraits(n_ubatch=n_ubatch, age=age), n_prompt=2048, n_past=0)
            for age in (Age.NEW, Age.OLD)
        )
        return new.prompt_tokens_per_s.value / old.prompt_tokens_per_s.value

    assert loss(64) > 1.5 * loss(2048)


@pytest.mark.parametrize(
    ("typed", "name", "kind", "capability"),
    [
        ("RTX 3060", "CUDA1", DeviceKind.CUDA, (8, 6)),
        ("7900 xtx", "ROCm1", DeviceKind.ROCM, None),
        ("Intel Arc A770", "Vulkan1", DeviceKind.VULKAN, None),
    ],
)
def test_a_card_that_is_not_here(
    typed: str, name: str, kind: DeviceKind, capability: tuple[int, int] | None
) -> None:
    device = planned_device(card_named(typed), 1)
    assert (device.name, device.kind, device.compute_capability) == (name, kind, capability)
    assert device.total_bytes >= 12 * GIB
    assert 0.9 * device.total_bytes < device.free_bytes < device.total_bytes


def test_a_processor_with_few_cores_is_slower_though_its_memory_is_the_same() -> None:
    (work,) = model(0)
    few, many = (replace(work, device=host_device(HostRates(n_cores=count))) for count in (2, 16))
    assert speed((few,))[1] < 0.8 * speed((many,))[1]
    assert speed((few,))[0] < 0.2 * speed((many,))[0]


def test_a_card_that_may_draw_little_reads_prompts_slower_and_answers_alike() -> None:
    (work,) = model(LAYERS)
    cool = replace(work, device=replace(work.device, watts=50.0))
    assert speed((cool,))[0] < 0.9 * speed((work,))[0]
    assert speed((cool,))[1] == speed((work,))[1]


def test_matrix_units_for_four_bit_floats_are_used_by_engines_that_know_them() -> None:
    card = card_rates(card_named("RTX 5070"), "CUDA0", Backend.CUDA)
    (work,) = model(LAYERS)
    stored = tuple(replace(part, kind=Kind.MXFP4) for part in work.matrices)
    works = (replace(work, device=card, matrices=stored),)
    old = replace(TRAITS, has_native_mxfp4=False)
    times = [
        predict_works(works, traits, n_prompt=512, n_past=0).time_to_first_token_s.value
        for traits in (TRAITS, old)
    ]
    assert times[0] < 0.8 * times[1]
