"""What `bringup plan` does: one plan, or a table of several."""

from __future__ import annotations

from collections.abc import Callable

from bringup.actions.planning.companions import Beside
from bringup.actions.planning.memory_rate import record_measured
from bringup.actions.planning.place import Described
from bringup.actions.planning.plan import plan_model
from bringup.actions.planning.record import record_plan
from bringup.actions.planning.report import PlanReport
from bringup.actions.planning.start import PlanWishes
from bringup.errors import BringupError, WrongUse
from bringup.faces.cli.journal_warning import say_journal_trouble
from bringup.faces.render.console import Console, Style, Styled
from bringup.faces.render.plan import PIPE_COLUMNS, plan_lines
from bringup.faces.render.plan_bar import BLOCKS
from bringup.plan.request import Request
from bringup.records import dataclass
from bringup.units import MIB

_GIGA = 10**9
_EVERY_LAYER = 10_000


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """The options of the command, as typed."""

    names: tuple[str, ...]
    ctx_size: int | None
    parallel: int
    ubatch_size: int | None
    batch_size: int | None
    n_gpu_layers: int | None
    n_cpu_moe: int | None
    cpu_moe: bool
    override_tensor: tuple[str, ...]
    tensor_split: tuple[float, ...] | None
    split_mode: str | None
    main_gpu: int | None
    cache_type_k: str | None
    cache_type_v: str | None
    flash_attn: str | None
    kv_unified: bool
    swa_full: bool
    no_kv_offload: bool
    no_op_offload: bool
    no_mmap: bool
    cache_ram: int | None
    mmproj: str | None
    no_mmproj_offload: bool
    spec_type: str | None
    model_draft: str | None
    gpu_layers_draft: int | None
    cache_type_k_draft: str | None
    cache_type_v_draft: str | None
    draft_max: int | None
    engine_build: int | None
    threads: int | None
    gpu: tuple[str, ...]
    vram: tuple[int, ...]
    held: int
    ram: int | None
    ram_bandwidth: float | None
    measure_ram: bool
    cpu_only: bool
    compare: bool
    prompt_tokens: int
    check: bool
    verbose: bool
    svg: str | None
    as_json: bool
    use_token: bool

    def request(self) -> Request:
        """llama-server's part of it.

        Raises:
            WrongUse: a rule of --override-tensor without its device.
        """
        plain = Request()
        return Request(
            n_ctx=self.ctx_size,
            n_parallel=self.parallel,
            n_batch=self.batch_size or plain.n_batch,
            n_ubatch=self.ubatch_size,
            n_gpu_layers=self.n_gpu_layers,
            n_cpu_moe=_EVERY_LAYER if self.cpu_moe else self.n_cpu_moe,
            overrides=_overrides(self.override_tensor),
            tensor_split=self.tensor_split or (),
            cache_type_k=self.cache_type_k,
            cache_type_v=self.cache_type_v,
            flash_attention={"on": True, "off": False}.get(self.flash_attn or "auto"),
            is_unified=self.kv_unified,
            has_full_swa=self.swa_full,
            offloads_cache=not self.no_kv_offload,
            offloads_ops=not self.no_op_offload,
            is_mapped=not self.no_mmap,
            cache_ram_bytes=None if self.cache_ram is None else self.cache_ram * MIB,
            build=self.engine_build or self.described().build,
        )

    def beside(self) -> Beside:
        """What runs beside the model."""
        plain = Beside()
        return Beside(
            mmproj=self.mmproj,
            is_mmproj_offloaded=not self.no_mmproj_offload,
            draft=self.model_draft,
            draft_gpu_layers=self.gpu_layers_draft,
            draft_type_k=self.cache_type_k_draft,
            draft_type_v=self.cache_type_v_draft,
            draft_max=self.draft_max or plain.draft_max,
            drafts_itself=self.spec_type is not None,
        )

    def described(self) -> Described:
        """The machine's part of it."""
        return Described(self.gpu, self.vram, self.held, self.ram, self.cpu_only)

    def wishes(self) -> PlanWishes:
        """All that a plan is made from, beside the model."""
        bandwidth = self.ram_bandwidth
        return PlanWishes(
            request=self.request(),
            described=self.described(),
            n_threads=self.threads,
            split_mode=self.split_mode,
            main_gpu=self.main_gpu,
            n_prompt=max(1, self.prompt_tokens),
            checks=self.check,
            ram_bytes_per_s=None if bandwidth is None else bandwidth * _GIGA,
            measures_ram=self.measure_ram,
            beside=self.beside(),
        )


def plan(console: Console, options: PlanOptions) -> int:
    """Plan; the exit code: 1 where it does not fit, or the model is not whole."""

    def may_send_token(refused: BringupError) -> bool:
        from bringup.faces.cli.pulling import token_question

        return options.use_token or console.confirm(token_question(refused))

    if options.compare:
        return _compare(console, options, may_send_token)
    if len(options.names) > 1:
        raise WrongUse(
            f"{len(options.names)} models are named",
            hint="To see them in one table: bringup plan --compare ...",
        )
    report = plan_model(options.names[0], options.wishes(), may_send_token=may_send_token)
    if options.svg is not None:
        _write_picture(console, report, options.svg)
    if options.as_json:
        from bringup.faces.render.plan_json import plan_json

        console.answer_json(plan_json(report))
    else:
        _show(console, report, is_verbose=options.verbose)
    # Written down behind the answer: nobody waits for it.
    measured = record_measured() if options.measure_ram else ""
    if not (options.gpu or options.vram or options.ram or options.held or options.cpu_only):
        measured = record_plan(options.names[0], report) or measured
    say_journal_trouble(console, measured)
    return 0 if report.can_run else 1


def _width(console: Console) -> int:
    terminal = console.answer_terminal
    return terminal.width_columns if terminal.is_terminal else PIPE_COLUMNS


def _show(console: Console, report: PlanReport, *, is_verbose: bool) -> None:
    has_blocks = console.can_show(BLOCKS)
    console.answer_lines(
        plan_lines(report, width_columns=_width(console), is_verbose=is_verbose, has_blocks=has_blocks)
    )


def _write_picture(console: Console, report: PlanReport, path: str) -> None:
    from bringup.actions.planning.picture import write_picture
    from bringup.faces.render.plan_svg import plan_svg

    write_picture(path, plan_svg(report))
    console.line(Styled(f"Picture: {path}", Style.DIM))


def _compare(console: Console, options: PlanOptions, may_send_token: Callable[[BringupError], bool]) -> int:
    """One table; 1 where none of them could be run."""
    from bringup.actions.planning.compare import compare_plans

    reports = compare_plans(options.names, options.wishes(), may_send_token=may_send_token)
    if options.as_json:
        from bringup.faces.render.plan_json import comparison_json

        console.answer_json(comparison_json(reports))
    else:
        from bringup.faces.render.plan_compare import comparison_lines

        console.answer_lines(comparison_lines(reports, width_columns=_width(console)))
    return 0 if any(report.can_run for report in reports) else 1


def _overrides(words: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    rules = []
    for rule in (one for word in words for one in word.split(",") if one):
        pattern, equals, device = rule.rpartition("=")
        if not equals or not pattern or not device:
            raise WrongUse(
                f"--override-tensor {rule!r} names no device",
                hint="PATTERN=DEVICE, such as 'ffn_.*_exps=CPU'.",
            )
        rules.append((pattern, device))
    return tuple(rules)
