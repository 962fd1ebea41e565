"""What llama.cpp knows about each architecture and the file does not say.

Data of 2026-11-24, read from llama.cpp b11434: names in `src/llama-arch.cpp` (LLM_ARCH_NAMES), window and
recurrence rules in `load_arch_hparams` of `src/models/*.cpp`, cache rules in `llama_model::create_memory`
(`src/llama-model.cpp`).
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from bringup.records import dataclass


@dataclass(frozen=True, slots=True)
class WindowRule:
    """Which layers of a family see a sliding window only.

    Attributes:
        period: of `period` layers one is full; 0 makes every layer sliding. The file may hold another
            period, or a flag per layer, under `attention.sliding_window_pattern`.
        is_full_first: the full layer is the first of its period, not the last.
        default_tokens: window where the file says none; `None` means that the file must say it.
        fixed_tokens: window that llama.cpp takes whatever the file says.
        needs_window: no sliding layers at all unless the file gives a window above zero.
        only_n_layer: the rule holds for models of so many layers only.
        needs_flags: the file must hold a flag per layer; there is no period to fall back on.
    """

    period: int = 0
    is_full_first: bool = False
    default_tokens: int | None = None
    fixed_tokens: int | None = None
    needs_window: bool = False
    only_n_layer: int | None = None
    needs_flags: bool = False


_FLAGS: Final = WindowRule(needs_flags=True)

WINDOW_RULES: Final[dict[str, WindowRule]] = {
    "afmoe": WindowRule(4, needs_window=True),
    "cohere2": WindowRule(4),
    "cohere2moe": WindowRule(4, is_full_first=True),
    "deepseek4": WindowRule(0),
    "dots3note": _FLAGS,
    "exaone-moe": WindowRule(4, default_tokens=128),
    "exaone4": WindowRule(4, default_tokens=4096, only_n_layer=64),
    "gemma-embedding": WindowRule(6),
    "gemma2": WindowRule(2, default_tokens=4096),
    "gemma3": WindowRule(6, needs_window=True),
    "gemma3n": WindowRule(5),
    "gemma4": _FLAGS,
    "gemma4-assistant": _FLAGS,
    "gpt-oss": WindowRule(2),
    "granite_swa": _FLAGS,
    "laguna": WindowRule(4, is_full_first=True, needs_window=True),
    "lfm2": WindowRule(0, needs_window=True),
    "llama4": WindowRule(4, default_tokens=8192, fixed_tokens=8192),
    "maple": _FLAGS,
    "mellum": WindowRule(4, needs_window=True),
    "mimo2": _FLAGS,
    "modern-bert": WindowRule(3, is_full_first=True, needs_window=True),
    "muse-glimmer": WindowRule(4),
    "olmo2": WindowRule(4, needs_window=True),
    "plamo3": WindowRule(8, needs_window=True),
    "smallthinker": WindowRule(4, is_full_first=True, fixed_tokens=4096, needs_window=True),
    "spark2_5": _FLAGS,
    "step35": _FLAGS,
}
"""Families with sliding layers. Any other family attends to everything, whatever window its file names
(llama.cpp has that of phi3 switched off and never reads that of llama, qwen2 and mistral)."""


class Recurrence(Enum):
    """How a family's layers with a recurrent state are told from those with attention."""

    ALL = "every layer"
    NO_KV_HEADS = "layers with no KV heads"
    NO_KV_HEADS_NO_FF = "layers with no KV heads and no feed-forward"
    INTERVAL = "all but every n-th layer, or a flag per layer"
    BESIDE_ATTENTION = "every layer, each with attention beside it"


RECURRENCE: Final[dict[str, Recurrence]] = {
    "arwkv7": Recurrence.ALL,
    "mamba": Recurrence.ALL,
    "mamba2": Recurrence.ALL,
    "rwkv6": Recurrence.ALL,
    "rwkv6qwen2": Recurrence.ALL,
    "rwkv7": Recurrence.ALL,
    "bailingmoe3": Recurrence.NO_KV_HEADS,
    "glm5-next": Recurrence.NO_KV_HEADS,
    "granitehybrid": Recurrence.NO_KV_HEADS,
    "jamba": Recurrence.NO_KV_HEADS,
    "kimi-k3": Recurrence.NO_KV_HEADS,
    "kimi-linear": Recurrence.NO_KV_HEADS,
    "lfm2": Recurrence.NO_KV_HEADS,
    "lfm2moe": Recurrence.NO_KV_HEADS,
    "plamo2": Recurrence.NO_KV_HEADS,
    "nemotron_h": Recurrence.NO_KV_HEADS_NO_FF,
    "nemotron_h_moe": Recurrence.NO_KV_HEADS_NO_FF,
    "minimax-01": Recurrence.INTERVAL,
    "qwen35": Recurrence.INTERVAL,
    "qwen35moe": Recurrence.INTERVAL,
    "qwen3next": Recurrence.INTERVAL,
    "qwen4exp": Recurrence.INTERVAL,
    "falcon-h1": Recurrence.BESIDE_ATTENTION,
}
"""Families with recurrent layers."""

DEFAULT_FULL_INTERVAL: Final = 4
"""`full_attention_interval` where the file does not say."""

GEMMA3N_LAYERS_WITH_KV: Final = 20
"""The later layers of gemma3n read the keys and values of earlier ones."""

WITHOUT_CACHE: Final = frozenset(
    {
        *("bert", "clef", "dream", "eurobert", "gemma-embedding", "jina-bert-v2", "jina-bert-v3", "llada"),
        *("llada-moe", "modern-bert", "neo-bert", "nomic-bert", "nomic-bert-moe", "rnd1", "wavtokenizer-dec"),
    }
)
"""Encoders and diffusion models: they keep nothing between calls."""

WITH_FURTHER_CACHES: Final = frozenset({"dflash", "eagle3", "gemma4-assistant", "t5"})
"""Families whose caches are not whole by the rules here: those of another model that they draft for, of an
encoder."""

LOOPED: Final = "nanbeige"
"""The family whose layers are run several times over, each time with a cache of their own."""

INDEXED: Final[dict[str, int]] = {
    "deepseek32": 1,
    "dots3note": 1,
    "glm-dsa": 1,
    "glm5-next": 3,
    "hy_v4": 1,
    "minimax-m3": 1,
    "qwen4exp": 2,
}
"""Families with an indexer that chooses what a token attends to, and rows of its keys that are kept for that:
the key alone, with a pooled one, or with a gate as well (`llama-kv-cache-dsa.cpp`, `llama-kv-cache-msa.cpp`,
`llama-memory-hybrid-idx.cpp`)."""

INDEXED_LAID_OUT: Final = frozenset({"deepseek32", "dots3note", "glm-dsa", "hy_v4"})
"""Those of them whose graph is known here node by node; what the others' indexers compute is estimated."""

INDEXED_WITH_VALUES: Final = "minimax-m3"
"""The one of them whose indexers have a cache with values, which nothing reads."""

WITH_HISTORY: Final = "qwen4exp"
"""The family that keeps embeddings of the last tokens in one of its layers with a recurrent state."""

COMPRESSED: Final = "deepseek4"
"""The family that keeps compressed keys for blocks of tokens (`llama-kv-cache-dsv4.cpp`)."""

BLOCK_TOKENS: Final = 4
"""Tokens of the smaller blocks of that family; layers with larger ones have no indexer."""

WITH_ROUTER: Final = frozenset({"graniteswitch"})
"""Families with keys and values of one more head behind all layers, by which adapters are chosen."""

WITHOUT_OUTPUT_COPY: Final = frozenset(
    {
        *("bert", "bitnet", "clef", "eurobert", "jina-bert-v2", "jina-bert-v3", "modern-bert", "neo-bert"),
        *("nomic-bert", "nomic-bert-moe", "wavtokenizer-dec"),
    }
)
"""Families without an output matrix that do not load their embeddings a second time in its place."""

ROLLING_BACK: Final = frozenset(
    {
        *("kimi-k3", "qwen35", "qwen35moe", "qwen4exp", "deepseek4", "glm5-next", "nemotron_h"),
        *("nemotron_h_moe", "lfm2", "lfm2moe", "bailingmoe3"),
    }
)
"""Families whose recurrent states are kept for each drafted token (`llm_arch_supports_rs_rollback`)."""

WITHOUT_FUSED_ATTENTION: Final = frozenset({"grok"})
"""Families that have the fused kernels of attention switched off whatever was asked for."""

NOT_LANGUAGE_MODELS: Final = frozenset({"clip"})
"""Projectors that accompany a language model and say none of its figures."""

KNOWN: Final = frozenset(
    {
        *(
            "llama",
            "llama4",
            "deci",
            "falcon",
            "grok",
            "gpt2",
            "gptj",
            "gptneox",
            "mpt",
            "baichuan",
            "starcoder",
        ),
        *("refact", "bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2"),
        *("jina-bert-v3", "eurobert", "bloom", "stablelm", "qwen", "qwen2", "qwen2moe", "qwen2vl", "qwen3"),
        *(
            "qwen3moe",
            "qwen3next",
            "qwen3vl",
            "qwen3vlmoe",
            "qwen35",
            "qwen35moe",
            "clef",
            "qwen4exp",
            "phi2",
        ),
        *("phi3", "phimoe", "plamo", "plamo2", "plamo3", "codeshell", "orion", "internlm2", "minicpm"),
        *(
            "minicpm3",
            "gemma",
            "gemma2",
            "gemma3",
            "gemma3n",
            "gemma4",
            "gemma4-assistant",
            "gemma-embedding",
        ),
        *("starcoder2", "mamba", "mamba2", "maple", "jamba", "falcon-h1", "xverse", "command-r", "cohere2"),
        *("cohere2moe", "dbrx", "olmo", "olmo2", "olmoe", "muse-glimmer", "openelm", "arctic", "deepseek"),
        *("deepseek2", "deepseek2-ocr", "deepseek32", "deepseek4", "chatglm", "glm4", "glm4moe", "glm-dsa"),
        *("bitnet", "t5", "t5encoder", "jais", "jais2", "nemotron", "nemotron_h", "nemotron_h_moe", "exaone"),
        *("exaone4", "exaone-moe", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7", "granite", "granitemoe"),
        *("granitehybrid", "graniteswitch", "granite_swa", "chameleon", "wavtokenizer-dec", "plm"),
        *("bailingmoe", "bailingmoe2", "bailingmoe3", "dots1", "dots3note", "arcee", "afmoe", "laguna"),
        *("ernie4_5", "ernie4_5-moe", "hunyuan-moe", "hunyuan-dense", "hunyuan_vl", "hy_v3", "hy_v4"),
        *("smollm3", "gpt-oss", "lfm2", "lfm2moe", "dream", "smallthinker", "llada", "llada-moe", "seed_oss"),
        *("grovemoe", "apertus", "minimax-01", "hrm_text", "minimax-m2", "minimax-m3", "cogvlm", "rnd1"),
        *("pangu-embedded", "mistral3", "eagle3", "dflash", "mistral4", "paddleocr", "mimo2", "step35"),
        *("spark2_5", "llama-embed", "maincoder", "kimi-linear", "kimi-k3", "glm5-next", "talkie", "mellum"),
        *("nanbeige", "qwen3tts", "pockettts"),
    }
)
"""Architectures that this llama.cpp loads as language models."""

ROUGH_COMPUTE: Final = frozenset(
    {
        *("bert", "gemma-embedding", "gpt2", "graniteswitch", "hrm_text", "kimi-k3", "llama-embed"),
        *("minimax-01", "modern-bert", "mpt", "plamo2", "qwen", "rwkv7", "starcoder", "talkie"),
    }
)
"""Families of which a laid out compute buffer was off by more than a quarter in one of eight settings, held
against llama.cpp b11434 (`tests/plan/test_every_family.py`)."""
