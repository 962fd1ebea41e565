"""What a dry run says, parsed and applied."""

from __future__ import annotations

from tests.plan.models import anatomy

from bringup.engine.dry_run import fit_arguments, parse_log, parse_table
from bringup.plan.differences import Difference, Differences, compare, corrected, from_json, to_json
from bringup.plan.memory import plan_memory
from bringup.plan.request import Device, DeviceKind, Request
from bringup.units import GIB, MIB

MAIN = Device("CPU", DeviceKind.CPU, 64 * GIB, 56 * GIB)
CARD = Device("CUDA0", DeviceKind.CUDA, 12 * GIB, 11 * GIB, "", (8, 6))

LOG = """\
0.02.155.654 I llama_context:        CPU  output buffer size =     0.77 MiB
0.02.155.691 I llama_kv_cache_iswa: creating non-SWA KV cache, size = 8192 cells
0.02.159.999 I llama_kv_cache: size =  192.00 MiB (  8192 cells,  12 layers,  1/1 seqs), K (f16):   96.00 MiB
0.02.160.010 I llama_kv_cache_iswa: creating     SWA KV cache, size = 768 cells
0.02.160.234 I llama_kv_cache: size =   18.00 MiB (   768 cells,  12 layers,  1/1 seqs), K (f16):    9.00 MiB
0.02.171.020 I sched_reserve:      CUDA0 compute buffer size =   205.12 MiB
0.02.171.020 I sched_reserve:  CUDA_Host compute buffer size =    13.00 MiB
0.02.171.192 I common_memory_breakdown_print: |   - CUDA0 (RTX 3060)   | 12044 = 8000 + (3401 =  2859 +     336 +     205) +  643 |
0.02.171.193 I common_memory_breakdown_print: |   - Host               |                 2168 =  1854 +     210 +     104                |
0.02.171.193 I common_memory_breakdown_print: |   - CPU_REPACK         |                 9682 =  9682 +       0 +       0                |
"""  # noqa: E501 - as printed; the card's row is made after `common/fit.cpp`, the others were recorded


def test_a_log_gives_buffers_by_device() -> None:
    found = {(one.name, one.device): one.bytes / MIB for one in parse_log(LOG.splitlines())}
    assert {key: round(size, 2) for key, size in found.items()} == {
        ("output", ""): 0.77,
        ("compute", "CUDA0"): 205.12,
        ("compute", "CPU"): 13.0,
        ("weights", "CUDA0"): 2859,
        ("weights", "CPU"): 1854 + 9682,
        ("kv_cache", ""): 192,
        ("kv_cache_swa", ""): 18,
    }


def test_a_table_of_the_fit_program_gives_buffers_by_device() -> None:
    found = parse_table("noise\nCUDA0 2859 336 205 \nHost 9222 0 13 \n")
    assert [(one.name, one.device, one.bytes // MIB) for one in found] == [
        ("weights", "CUDA0", 2859),
        ("context", "CUDA0", 336),
        ("compute", "CUDA0", 205),
        ("weights", "CPU", 9222),
        ("context", "CPU", 0),
        ("compute", "CPU", 13),
    ]
    assert parse_table("error: model not found\n") == ()


def test_the_fit_program_is_asked_for_the_same_placement() -> None:
    request = Request(n_ctx=8192, n_cpu_moe=20, n_parallel=8, is_unified=True)
    words = fit_arguments(plan_memory(anatomy("gpt-oss-20b"), request, (CARD, MAIN)), "m.gguf")
    told = " ".join(words)
    assert told.startswith("--model m.gguf --ctx-size 8192 --parallel 8 --batch-size 2048 --ubatch-size 512")
    assert "--n-gpu-layers 25" in told
    assert "--device CUDA0 --n-cpu-moe 20 --kv-unified --no-repack --fit-print on" in told


def test_a_plan_is_corrected_by_what_the_engine_said_but_not_its_weights() -> None:
    plan = plan_memory(anatomy("gpt-oss-20b"), Request(n_ctx=8192), (CARD, MAIN))
    planned = plan.part_bytes("compute", "CUDA0")
    rows = (
        Difference("compute", "CUDA0", planned, planned * 2, MIB),
        Difference("weights", "CUDA0", 100 * MIB, 300 * MIB, MIB),
        Difference("kv_cache", "", 192 * MIB, 192 * MIB + 1000, MIB),
    )
    told = Differences("made", has_cards=True, rows=rows)
    better = corrected(plan, told)
    assert better.part_bytes("compute", "CUDA0") == 2 * planned
    assert better.part_bytes("weights") == plan.part_bytes("weights")
    assert better.part_bytes("kv_cache") == plan.part_bytes("kv_cache")
    assert any("corrected by the dry run of made" in part.source for part in better.parts)


def test_a_figure_of_another_order_is_shown_and_not_applied() -> None:
    row = Difference("compute", "CPU", 10 * MIB, 1000 * MIB)
    told = Differences("made", has_cards=False, rows=(row,))
    assert told.factor("compute", "CPU") == 1.0
    assert not told.is_confirmed


def test_an_answer_survives_the_cache_and_damage_does_not_pass() -> None:
    plan = plan_memory(anatomy("gpt-oss-20b"), Request(n_ctx=8192, n_cpu_moe=20), (CARD, MAIN))
    told = compare(plan, parse_log(LOG.splitlines()), engine="made", has_cards=True)
    assert from_json(to_json(told)) == told
    for damaged in ("", "[]", "{}", '{"schema": 2}', to_json(told)[:-2], '{"schema": 1, "rows": [1]}'):
        assert from_json(damaged) is None
