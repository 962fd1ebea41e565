"""The public shapes of the models that measured rows name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A model's shape; widths in elements. `n_attn` layers of `n_layer` have a KV cache.

    `q` is heads x head size, `kv` keys + values of a token in one layer. `swa` is (layers, window, kv) of the
    sliding ones among the attention layers. `experts` is (layers, all, used, width, matrices of an expert).
    `state` is (layers, f32 elements) of recurrent layers. `unread_b` counts parameters that are looked up and
    never multiplied (beside the embedding).
    """

    n_layer: int
    n_embd: int
    n_attn: int
    q: int
    kv: int
    n_vocab: int
    params_b: float
    tied: bool = False
    swa: tuple[int, int, int] = (0, 0, 0)
    experts: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    unread_b: float = 0.0
    state: tuple[int, int] = (0, 0)
    head: int = 128
    head_swa: int = 0


def _x(layers: int, every: int, used: int, width: int, matrices: int = 3) -> tuple[int, int, int, int, int]:
    return (layers, every, used, width, matrices)


SHAPES = {
    "llama-3-8b": Shape(32, 4096, 32, 4096, 2048, 128256, 8.03),
    "llama-3-70b": Shape(80, 8192, 80, 8192, 2048, 128256, 70.55),
    "llama-405b": Shape(126, 16384, 126, 16384, 2048, 128256, 405.85),
    "llama-7b": Shape(32, 4096, 32, 4096, 8192, 32000, 6.74),
    "llama-3.2-3b": Shape(28, 3072, 28, 3072, 2048, 128256, 3.21, True),
    "llama-3.2-1b": Shape(16, 2048, 16, 2048, 1024, 128256, 1.24, True, head=64),
    "llama-13b": Shape(40, 5120, 40, 5120, 10240, 32000, 13.02),
    "llama-4-scout": Shape(48, 5120, 48, 5120, 2048, 202048, 107.77, experts=_x(48, 16, 1, 8192)),
    "smollm2-135m": Shape(30, 576, 30, 576, 384, 49152, 0.135, True, head=64),
    "smollm3-3b": Shape(36, 2048, 36, 2048, 1024, 128256, 3.08, True),
    "ling-mini": Shape(20, 2048, 20, 2048, 1024, 157184, 16.26, experts=_x(19, 256, 8, 512)),
    "mixtral-8x7b": Shape(32, 4096, 32, 4096, 2048, 32000, 46.7, experts=_x(32, 8, 2, 14336)),
    "mistral-7b": Shape(32, 4096, 32, 4096, 2048, 32768, 7.25),
    "mistral-nemo": Shape(40, 5120, 40, 4096, 2048, 131072, 12.25),
    "mistral-small": Shape(40, 5120, 40, 4096, 2048, 131072, 23.57),
    "ministral-14b": Shape(40, 5120, 40, 4096, 2048, 131072, 13.5),
    "ministral-3b": Shape(26, 3072, 26, 4096, 2048, 131072, 3.4, True),
    "qwen2.5-0.5b": Shape(24, 896, 24, 896, 256, 151936, 0.494, True, head=64),
    "qwen2.5-1.5b": Shape(28, 1536, 28, 1536, 512, 151936, 1.54, True),
    "qwen2.5-32b": Shape(64, 5120, 64, 5120, 2048, 152064, 32.76),
    "qwen2.5-72b": Shape(80, 8192, 80, 8192, 2048, 152064, 72.7),
    "qwen3-0.6b": Shape(28, 1024, 28, 2048, 2048, 151936, 0.6, True),
    "qwen3-1.7b": Shape(28, 2048, 28, 2048, 2048, 151936, 1.72, True),
    "qwen3-235b": Shape(94, 4096, 94, 8192, 1024, 151936, 235.09, experts=_x(94, 128, 8, 1536)),
    "qwen2.5-3b": Shape(36, 2048, 36, 2048, 512, 151936, 3.09, True),
    "qwen2.5-7b": Shape(28, 3584, 28, 3584, 1024, 152064, 7.62),
    "qwen2.5-14b": Shape(48, 5120, 48, 5120, 2048, 152064, 14.77),
    "qwen3-4b": Shape(36, 2560, 36, 4096, 2048, 151936, 4.02, True),
    "qwen3-8b": Shape(36, 4096, 36, 4096, 2048, 151936, 8.19),
    "qwen3-14b": Shape(40, 5120, 40, 5120, 2048, 151936, 14.77),
    "qwen3-32b": Shape(64, 5120, 64, 8192, 2048, 151936, 32.76),
    "qwen3-30b": Shape(48, 2048, 48, 4096, 1024, 151936, 30.53, experts=_x(48, 128, 8, 768)),
    "qwen3-next": Shape(
        48, 2048, 12, 4096, 1024, 151936, 79.67, experts=_x(48, 512, 10, 512), state=(36, 524288), head=256
    ),
    "qwen3.5-2b": Shape(24, 2048, 6, 2048, 1024, 248320, 1.9, True, state=(18, 262144), head=256),
    "qwen3.5-4b": Shape(32, 2560, 8, 4096, 2048, 248320, 4.2, True, state=(24, 524288), head=256),
    "qwen3.5-9b": Shape(32, 4096, 8, 4096, 2048, 248320, 9.0, state=(24, 524288), head=256),
    "qwen3.6-27b": Shape(64, 5120, 16, 6144, 2048, 248320, 27.0, state=(48, 786432), head=256),
    "qwen3.6-35b": Shape(
        40, 2048, 10, 4096, 1024, 248320, 34.66, experts=_x(40, 256, 8, 512), state=(30, 524288), head=256
    ),
    "qwen3.5-122b": Shape(
        48, 3072, 12, 8192, 1024, 248320, 122.1, experts=_x(48, 256, 8, 1024), state=(36, 1048576), head=256
    ),
    "gemma-2-2b": Shape(26, 2304, 26, 2048, 2048, 256000, 2.61, True, swa=(13, 4096, 2048), head=256),
    "gemma-2-9b": Shape(42, 3584, 42, 4096, 4096, 256000, 9.24, True, swa=(21, 4096, 4096), head=256),
    "gemma-2-27b": Shape(46, 4608, 46, 4096, 4096, 256000, 27.2, True, swa=(23, 4096, 4096)),
    "gemma-3-1b": Shape(26, 1152, 26, 1024, 512, 262144, 1.0, True, swa=(22, 512, 512), head=256),
    "gemma-3-12b": Shape(48, 3840, 48, 4096, 4096, 262208, 11.77, True, swa=(40, 1024, 4096), head=256),
    "gemma-3-27b": Shape(62, 5376, 62, 4096, 4096, 262208, 27.0, True, swa=(52, 1024, 4096)),
    "gemma-3-4b": Shape(34, 2560, 34, 2048, 2048, 262208, 3.88, True, swa=(29, 1024, 2048), head=256),
    "gemma-4-26b": Shape(
        30,
        2816,
        30,
        4096,
        2048,
        262144,
        25.2,
        True,
        swa=(25, 1024, 4096),
        experts=_x(30, 128, 8, 704),
        head=512,
        head_swa=256,
    ),
    "gemma-4-31b": Shape(
        60, 5376, 60, 8192, 4096, 262144, 30.7, True, swa=(50, 1024, 8192), head=512, head_swa=256
    ),
    "gemma-4-e4b": Shape(
        42,
        2560,
        42,
        2048,
        2048,
        262144,
        7.5,
        True,
        swa=(35, 512, 1024),
        unread_b=2.82,
        head=512,
        head_swa=256,
    ),
    "gemma-4-e2b": Shape(
        35,
        1536,
        35,
        2048,
        1024,
        262144,
        4.65,
        True,
        swa=(28, 512, 512),
        unread_b=2.35,
        head=512,
        head_swa=256,
    ),
    "phi-3.5": Shape(32, 3072, 32, 3072, 6144, 32064, 3.82),
    "phi-4": Shape(40, 5120, 40, 5120, 2560, 100352, 14.66),
    "granite-8b": Shape(40, 4096, 40, 4096, 2048, 49155, 8.17, True),
    "deepseek-v3": Shape(61, 7168, 61, 24576, 576, 129280, 671.03, experts=_x(58, 256, 8, 2048), head=576),
    "deepseek-lite": Shape(27, 2048, 27, 3072, 576, 102400, 15.71, experts=_x(26, 64, 6, 1408), head=576),
    "glm-4.5-air": Shape(46, 4096, 46, 12288, 2048, 151552, 106.85, experts=_x(45, 128, 8, 1408)),
    "glm-4.7-flash": Shape(47, 2048, 47, 11520, 576, 154880, 29.94, experts=_x(46, 64, 4, 1536), head=576),
    "nemotron-4b": Shape(42, 3136, 4, 5120, 2048, 131072, 3.97, state=(21, 983040)),
    "nemotron-30b": Shape(
        52, 2688, 6, 4096, 512, 131072, 31.6, experts=_x(23, 128, 6, 1856, 2), state=(23, 524288)
    ),
    "gpt-oss-20b": Shape(
        24, 2880, 24, 4096, 1024, 201088, 20.91, swa=(12, 128, 1024), experts=_x(24, 32, 4, 2880), head=64
    ),
    "gpt-oss-120b": Shape(
        36, 2880, 36, 4096, 1024, 201088, 116.83, swa=(18, 128, 1024), experts=_x(36, 128, 4, 2880), head=64
    ),
}

# Patterns on the rows' model names, the first that is found decides.
NAMES = (
    (r"gpt-oss.?120", "gpt-oss-120b"),
    (r"gpt-oss.?20", "gpt-oss-20b"),
    (r"R1 14b|Coder-14B|qwen2 14B|Qwen2.5-14B|R1-Distill-Qwen-14B", "qwen2.5-14b"),
    (r"(?i)qwen2 32B|Qwen2.5-(Coder-)?32B|R1-Distill-Qwen-32B|QwQ-32B", "qwen2.5-32b"),
    (r"Qwen2(.5)?-72B|qwen2 72B|qwen2 70B", "qwen2.5-72b"),
    (r"R1-0528-Qwen3-8B|Qwen3-8B|qwen3 8B", "qwen3-8b"),
    (r"(?i)SmolLM2-135M", "smollm2-135m"),
    (r"SmolLM3", "smollm3-3b"),
    (r"Ling-mini", "ling-mini"),
    (r"DeepSeek-(Coder-)?V2-Lite", "deepseek-lite"),
    (r"DeepSeek-V3", "deepseek-v3"),
    (r"GLM-4.7-Flash|deepseek2 30B", "glm-4.7-flash"),
    (r"Llama.3.2.3B|llama 3B", "llama-3.2-3b"),
    (r"Llama-3.2-1B", "llama-3.2-1b"),
    (r"(?i)Mixtral.8x7B", "mixtral-8x7b"),
    (r"(?i)Llama-?4.*Scout|llama4 17B", "llama-4-scout"),
    (r"llama 13B|Llama-2-13B", "llama-13b"),
    (r"70B", "llama-3-70b"),
    (r"(?i)Llama-3 8B|Llama-3.1-8B|llama 8B|Llama-3-8B", "llama-3-8b"),
    (r"llama 7B", "llama-7b"),
    (r"llama \?B", "llama-405b"),
    (r"Mistral-7B", "mistral-7b"),
    (r"Mistral-Nemo", "mistral-nemo"),
    (r"(?i)Mistral-Small|Devstral|Magistral", "mistral-small"),
    (r"Ministral-3-14B", "ministral-14b"),
    (r"Ministral-3-3B", "ministral-3b"),
    (r"Nemotron-3-Nano", "nemotron-30b"),
    (r"nemotron 4B", "nemotron-4b"),
    (r"Phi-3.5", "phi-3.5"),
    (r"phi-4", "phi-4"),
    (r"granite", "granite-8b"),
    (r"Qwen2.5-Coder-3B", "qwen2.5-3b"),
    (r"(?i)Qwen2.5-(Coder-)?7B|qwen2 7B", "qwen2.5-7b"),
    (r"Qwen3-14B|qwen3 14B", "qwen3-14b"),
    (r"Qwen3-32B|qwen3 32B", "qwen3-32b"),
    (r"Qwen3-4B|qwen3 4B", "qwen3-4b"),
    (r"Qwen3-0.6B|qwen3 0.6B", "qwen3-0.6b"),
    (r"Qwen3-1.7B|qwen3 1.7B", "qwen3-1.7b"),
    (r"Qwen3-235B|qwen3moe 235B", "qwen3-235b"),
    (r"(?i)qwen2.5-(coder-)?0.5b", "qwen2.5-0.5b"),
    (r"(?i)qwen2.5-(coder-)?1.5b", "qwen2.5-1.5b"),
    (r"(?i)qwen2.5-3b", "qwen2.5-3b"),
    (r"(?i)GLM-4.5-Air", "glm-4.5-air"),
    (r"(?i)Qwen3-(Coder-)?30B|qwen3moe 30B|qwen3-coder:30b", "qwen3-30b"),
    (r"Qwen3-(Coder-)?Next", "qwen3-next"),
    (r"Qwen3.5-122B", "qwen3.5-122b"),
    (r"Qwen3.5-2B", "qwen3.5-2b"),
    (r"Qwen3.5-4B", "qwen3.5-4b"),
    (r"Qwen3.5-9B", "qwen3.5-9b"),
    (r"Qwen3.[568]-27B", "qwen3.6-27b"),
    (r"Qwen3.[56].35B|qwen35moe 35B", "qwen3.6-35b"),
    (r"gemma-2-2b", "gemma-2-2b"),
    (r"(?i)gemma-?2-9b|gemma2 9B", "gemma-2-9b"),
    (r"(?i)gemma-?2-27b|gemma2 27B", "gemma-2-27b"),
    (r"(?i)gemma-?3-1b|gemma3 1B", "gemma-3-1b"),
    (r"(?i)gemma-?3-4b|gemma3 4B", "gemma-3-4b"),
    (r"(?i)gemma-?3-12b|gemma3 12B", "gemma-3-12b"),
    (r"(?i)gemma-?3-27b|gemma3 27B", "gemma-3-27b"),
    (r"gemma-4-26B", "gemma-4-26b"),
    (r"gemma-4-31B", "gemma-4-31b"),
    (r"gemma-4-E4B", "gemma-4-e4b"),
    (r"gemma-4-E2B", "gemma-4-e2b"),
)
