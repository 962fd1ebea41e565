"""The figures of a model: layers, heads, windows, recurrent state, experts, context, vocabulary.

They follow llama.cpp's own reading with its defaults (b11434: `load_hparams` in `src/llama-model.cpp`, and
`src/llama-hparams.cpp`); what only its code knows about a family stands in `families`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bringup.errors import GgufError
from bringup.model import families
from bringup.model.families import Recurrence
from bringup.model.gguf import GgufHeader, Tensor
from bringup.model.hyperparameters import Hyperparameters
from bringup.model.other_kinds import refuse_other_kinds
from bringup.model.quants import FILE_TYPES
from bringup.model.tokenizer import Tokenizer, read_tokenizer
from bringup.model.values import Metadata
from bringup.records import dataclass

MAX_LAYERS: Final = 512
"""LLAMA_MAX_LAYERS of llama.cpp b11434 (`src/llama-hparams.h`); beyond it the engine aborts."""
MAX_EXPERTS: Final = 1024
"""LLAMA_MAX_EXPERTS of the same file."""

_MAX_WIDTH: Final = 2**20
_MAX_HEADS: Final = 65_536


@dataclass(frozen=True, slots=True)
class CacheLayer:
    """Elements that one layer keeps of each token; with `is_swa` only of tokens within the window."""

    index: int
    n_embd_k: int
    n_embd_v: int
    is_swa: bool


@dataclass(frozen=True, slots=True)
class CompressedLayer:
    """One key of `n_embd_k` elements for each block of tokens: of attention, or of the indexer that chooses.

    Attributes:
        index: of the layer.
        n_tokens: of a block.
        n_embd_k: elements of a key.
        n_state: f32 elements of each slot that the block in the making takes.
    """

    index: int
    n_tokens: int
    n_embd_k: int
    n_state: int


@dataclass(frozen=True, slots=True)
class Recurrent:
    """State of fixed size: `n_layer` layers of `n_embd_r` + `n_embd_s` f32 elements for each sequence."""

    n_layer: int
    n_embd_r: int
    n_embd_s: int


@dataclass(frozen=True, slots=True)
class RopeScaling:
    """How the file itself stretches its positions: `factor` times `n_ctx_original` tokens."""

    kind: str
    factor: float
    n_ctx_original: int | None


@dataclass(frozen=True, slots=True)
class Architecture:
    """Figures of one model. An optional field is `None` only where the file does not have its key.

    Attributes:
        name: `general.architecture`.
        is_known: whether llama.cpp b11434 loads this architecture; else all rules here are guesses.
        is_cache_known: whether `cache_layers` and `recurrent` are all that a context keeps.
        display_name: `general.name`.
        file_type: quantisation by name as the converter noted it; `type N` for a number not known here.
        n_layer: layers that take part in generation.
        n_layer_nextn: further layers for drafting the next tokens (MTP), behind the others.
        n_embd: width of a token in elements.
        n_head: attention heads per layer; 0 where a layer has no attention.
        n_head_kv: heads of keys and values per layer.
        n_ff: width of the feed-forward part per layer; `None` where not said.
        n_embd_head_k: elements of one head's keys in a full layer; `n_embd_head_k_swa` in a sliding one.
        n_embd_head_v: likewise for values.
        is_mla: keys and values are kept as one compressed key (DeepSeek's MLA).
        n_ctx_train: trained context in tokens.
        n_vocab: tokens in the vocabulary.
        n_expert: experts of a layer, 0 for a dense model.
        n_expert_used: of those, how many a token passes (the most of any layer).
        n_ff_exp: width of one expert per layer; `None` where not said.
        n_swa: sliding window in tokens, 0 for none.
        swa_layers: per layer, whether it sees the window only.
        recurrent_layers: per layer, whether it has a recurrent state.
        cache_layers: what each layer with attention keeps.
        recurrent: recurrent state, `None` for a pure transformer.
        tokenizer: its figures.
        n_parameters: elements of all tensors.
        index_layers: what each layer's indexer keeps beside its attention (DeepSeek 3.2, GLM 5, MiniMax M3).
        n_index_top: tokens that an indexer chooses.
        n_residual: streams of the residual (hyper connections), 0 for the one of other families.
        compressed_layers: what layers keep of blocks of tokens (DeepSeek 4).
        n_embd_history: f32 elements of each slot beside the recurrent state, in one layer (Qwen 4).
        n_index_head: heads of an indexer's queries.
        rope_scaling: of its positions; `None` where they are as they are.
    """

    name: str
    is_known: bool
    is_cache_known: bool
    display_name: str | None
    file_type: str | None
    n_layer: int
    n_layer_nextn: int
    n_embd: int
    n_head: tuple[int, ...]
    n_head_kv: tuple[int, ...]
    n_ff: tuple[int, ...] | None
    n_embd_head_k: int
    n_embd_head_v: int
    n_embd_head_k_swa: int
    n_embd_head_v_swa: int
    is_mla: bool
    n_ctx_train: int | None
    n_vocab: int | None
    n_expert: int
    n_expert_used: int
    n_ff_exp: tuple[int, ...] | None
    n_swa: int
    swa_layers: tuple[bool, ...]
    recurrent_layers: tuple[bool, ...]
    cache_layers: tuple[CacheLayer, ...]
    recurrent: Recurrent | None
    tokenizer: Tokenizer
    n_parameters: int
    index_layers: tuple[CacheLayer, ...] = ()
    n_index_head: int = 0
    rope_scaling: RopeScaling | None = None
    n_index_top: int = 0
    n_residual: int = 0
    compressed_layers: tuple[CompressedLayer, ...] = ()
    n_embd_history: int = 0


@dataclass(frozen=True, slots=True)
class _Heads:
    """Heads per layer and their sizes, for all layers of the file."""

    n_head: tuple[int, ...]
    n_head_kv: tuple[int, ...]
    k: int
    v: int
    k_swa: int
    v_swa: int


@dataclass(frozen=True, slots=True)
class _Layers:
    """Kinds of the layers."""

    n_all: int
    n_nextn: int
    n_swa: int
    swa: tuple[bool, ...]
    recurrent: tuple[bool, ...]

    @property
    def n_main(self) -> int:
        return self.n_all - self.n_nextn


def read_architecture(header: GgufHeader, *, tensors: Iterable[Tensor] | None = None) -> Architecture:
    """The figures of a model.

    Args:
        header: of the file, or of the first shard.
        tensors: of all shards, where there are several.

    Raises:
        GgufError: a key is missing, of a wrong type, or has a value that no engine can work with.
    """
    tensors = header.tensors if tensors is None else tuple(tensors)
    metadata = header.metadata
    keys = hyperparameters(header)
    n_all = keys.required("block_count", least=1, most=MAX_LAYERS)
    n_nextn = keys.optional("nextn_predict_layers", most=n_all) or 0
    n_ff = keys.per_layer("feed_forward_length", n_all, default=None)
    n_embd = keys.required("embedding_length", least=1, most=_MAX_WIDTH)
    heads = _read_heads(keys, n_all, n_embd)
    layers = _read_layers(keys, heads, n_ff, n_all, n_nextn)
    n_expert, n_expert_used = _read_experts(keys, n_all)
    is_mla = bool(keys.optional("attention.key_length_mla") and keys.optional("attention.value_length_mla"))
    tokenizer = read_tokenizer(metadata)
    return Architecture(
        name=keys.name,
        is_known=keys.name in families.KNOWN,
        is_cache_known=keys.name in families.KNOWN - families.WITH_FURTHER_CACHES,
        display_name=metadata.text("general.name"),
        file_type=_file_type(metadata.integer("general.file_type")),
        n_layer=layers.n_main,
        n_layer_nextn=n_nextn,
        n_embd=n_embd,
        n_head=heads.n_head,
        n_head_kv=heads.n_head_kv,
        n_ff=n_ff,
        n_embd_head_k=heads.k,
        n_embd_head_v=heads.v,
        n_embd_head_k_swa=heads.k_swa,
        n_embd_head_v_swa=heads.v_swa,
        is_mla=is_mla,
        n_ctx_train=keys.optional("context_length", least=1),
        n_vocab=_n_vocab(keys, tokenizer, tensors),
        n_expert=n_expert,
        n_expert_used=n_expert_used,
        n_ff_exp=keys.per_layer("expert_feed_forward_length", n_all, default=None),
        n_swa=layers.n_swa,
        swa_layers=layers.swa,
        recurrent_layers=layers.recurrent,
        cache_layers=_cache_layers(keys, heads, layers, n_ff, is_mla=is_mla),
        recurrent=_recurrent_state(keys, heads, layers, n_embd),
        tokenizer=tokenizer,
        n_parameters=sum(tensor.n_elements for tensor in tensors),
        index_layers=_index_layers(keys, heads, layers, tensors),
        n_index_head=keys.optional("attention.indexer.head_count", most=_MAX_HEADS) or 0,
        rope_scaling=_rope_scaling(keys, metadata),
        n_index_top=keys.optional("attention.indexer.top_k") or 0,
        n_residual=keys.optional("hyper_connection.count", most=64) or 0,
        compressed_layers=_compressed_layers(keys, heads, layers),
        n_embd_history=_history(keys, n_embd),
    )


def _rope_scaling(keys: Hyperparameters, metadata: Metadata) -> RopeScaling | None:
    kind = metadata.text(keys.key("rope.scaling.type")) or "none"
    if kind == "none":
        return None
    factor = metadata.number(keys.key("rope.scaling.factor")) or 1.0
    return RopeScaling(kind, factor, keys.optional("rope.scaling.original_context_length"))


def hyperparameters(header: GgufHeader) -> Hyperparameters:
    """Access to the keys of the file's architecture.

    Raises:
        GgufError: the file names none, or is no language model at all.
    """
    refuse_other_kinds(header)
    name = header.metadata.text("general.architecture")
    if not name:
        raise GgufError(
            source=header.name,
            offset_bytes=header.data_offset,
            expected="the key 'general.architecture' in the metadata",
            found="no such key" if name is None else "an empty text",
            hint="If this is a later part of a split model, give the first one (-00001-of-...).",
            reference="gguf-missing-key",
        )
    return Hyperparameters(name, header.metadata, header.name, header.data_offset)


def _read_heads(keys: Hyperparameters, n_all: int, n_embd: int) -> _Heads:
    n_head = keys.per_layer("attention.head_count", n_all, default=0, most=_MAX_HEADS) or ()
    n_head_kv = keys.per_layer("attention.head_count_kv", n_all, default=None, most=_MAX_HEADS) or n_head
    if n_head[0] == 0:  # llama.cpp asks the first layer whether there are heads at all
        k = v = 0
    else:
        even = n_embd // n_head[0]
        k = _or(keys.optional("attention.key_length", most=_MAX_WIDTH), even)
        v = _or(keys.optional("attention.value_length", most=_MAX_WIDTH), even)
    k_swa = _or(keys.optional("attention.key_length_swa", most=_MAX_WIDTH), k)
    v_swa = _or(keys.optional("attention.value_length_swa", most=_MAX_WIDTH), v)
    return _Heads(n_head, n_head_kv, k, v, k_swa, v_swa)


def _or(given: int | None, default: int) -> int:
    """The given number, which may be 0."""
    return default if given is None else given


def _read_layers(
    keys: Hyperparameters, heads: _Heads, n_ff: tuple[int, ...] | None, n_all: int, n_nextn: int
) -> _Layers:
    n_main = n_all - n_nextn
    recurrent = _recurrent_layers(keys, heads, n_ff, n_all, n_main)
    n_swa, swa = _window_layers(keys, n_all, n_main)
    if keys.name == "lfm2" and n_swa:
        swa = tuple(not flag and index < n_main for index, flag in enumerate(recurrent))
    return _Layers(n_all, n_nextn, n_swa, swa, recurrent)


def _window_layers(keys: Hyperparameters, n_all: int, n_main: int) -> tuple[int, tuple[bool, ...]]:
    """Window in tokens and the layers that see it only."""
    none = (0, (False,) * n_all)
    rule = families.WINDOW_RULES.get(keys.name)
    if rule is None or rule.only_n_layer not in (None, n_main):
        return none
    given = keys.optional("attention.sliding_window")
    if (rule.needs_window and not given) or (rule.fixed_tokens and given == 0):
        return none
    n_swa = rule.fixed_tokens or (rule.default_tokens if given is None else given)
    if n_swa is None:
        n_swa = keys.required("attention.sliding_window")
    flags = keys.flags("attention.sliding_window_pattern", n_all)
    if flags is None and rule.needs_flags:
        keys.required("attention.sliding_window_pattern")
        raise keys.metadata.wrong(
            keys.key("attention.sliding_window_pattern"), "an array with a flag for each layer"
        )
    if flags is None:
        flags = _periodic(keys.optional("attention.sliding_window_pattern"), rule, n_all=n_all, n_main=n_main)
    return (n_swa, flags) if any(flags) else none


def _periodic(period: int | None, rule: families.WindowRule, *, n_all: int, n_main: int) -> tuple[bool, ...]:
    period = _or(period, rule.period) if rule.period else 0  # where all layers slide, the file has no say
    full = 0 if rule.is_full_first else period - 1
    return tuple(index < n_main and (period == 0 or index % period != full) for index in range(n_all))


def _recurrent_layers(
    keys: Hyperparameters, heads: _Heads, n_ff: tuple[int, ...] | None, n_all: int, n_main: int
) -> tuple[bool, ...]:
    kind = families.RECURRENCE.get(keys.name)
    if kind is None:
        return (False,) * n_all
    if kind in (Recurrence.ALL, Recurrence.BESIDE_ATTENTION):
        return (True,) * n_all
    if kind is Recurrence.INTERVAL:
        flags = keys.flags("attention.recurrent_layers", n_all)
        if flags is not None:
            return flags
        interval = keys.optional("full_attention_interval", least=1) or families.DEFAULT_FULL_INTERVAL
        return tuple(index < n_main and (index + 1) % interval != 0 for index in range(n_all))
    widths = n_ff if kind is Recurrence.NO_KV_HEADS_NO_FF and n_ff is not None else (0,) * n_all
    return tuple(
        index < n_main and heads.n_head_kv[index] == 0 and widths[index] == 0 for index in range(n_all)
    )


def _cache_layers(
    keys: Hyperparameters, heads: _Heads, layers: _Layers, n_ff: tuple[int, ...] | None, *, is_mla: bool
) -> tuple[CacheLayer, ...]:
    """Layers with a KV cache of their own (llama.cpp's layer filters) and its widths."""
    if keys.name in families.WITHOUT_CACHE:
        return ()
    kind = families.RECURRENCE.get(keys.name)
    owners = _layers_with_own_cache(keys, layers.n_all)
    is_looped = keys.name == families.LOOPED
    n_loops = (keys.optional("num_loops", least=1, most=MAX_LAYERS) or 1) if is_looped else 1
    kept = []
    for index in range(min(layers.n_main or layers.n_all, owners)):
        is_attention = kind is Recurrence.BESIDE_ATTENTION or not layers.recurrent[index]
        if kind is Recurrence.NO_KV_HEADS_NO_FF and n_ff is not None and n_ff[index]:
            is_attention = False
        if not is_attention:
            continue
        n_kv, is_swa = heads.n_head_kv[index], layers.swa[index]
        k, v = (heads.k_swa, heads.v_swa) if is_swa else (heads.k, heads.v)
        no_values = is_mla or keys.name == families.COMPRESSED
        width_k, width_v = k * n_kv * n_loops, 0 if no_values else v * n_kv * n_loops
        kept.append(CacheLayer(index, width_k, width_v, is_swa))
    if keys.name in families.WITH_ROUTER:
        kept.append(CacheLayer(layers.n_main, heads.k, heads.v, is_swa=False))
    return tuple(kept)


def _index_layers(
    keys: Hyperparameters, heads: _Heads, layers: _Layers, tensors: Iterable[Tensor]
) -> tuple[CacheLayer, ...]:
    """Layers whose indexer has matrices for its keys: one head each."""
    if keys.name not in families.INDEXED:
        return ()
    width = families.INDEXED[keys.name] * (
        keys.optional("attention.indexer.key_length", most=_MAX_WIDTH) or 0
    )
    values = heads.v if keys.name == families.INDEXED_WITH_VALUES else 0
    names = {tensor.name for tensor in tensors}
    owners = (
        index
        for index in range(layers.n_main)
        if {f"blk.{index}.indexer.attn_k.weight", f"blk.{index}.indexer.k_proj.weight"} & names
    )
    return tuple(CacheLayer(index, width, values, is_swa=False) for index in owners)


def _compressed_layers(keys: Hyperparameters, heads: _Heads, layers: _Layers) -> tuple[CompressedLayer, ...]:
    """Layers that keep a key of each block of tokens, and their indexers (`llama-kv-cache-dsv4.cpp`)."""
    if keys.name != families.COMPRESSED:
        return ()
    n_blocks = keys.numbers("attention.compress_ratios")[: layers.n_main]
    indexer = keys.optional("attention.indexer.key_length", most=_MAX_WIDTH) or 0
    kept = []
    for index, n_tokens in enumerate(n_blocks):
        if not n_tokens:
            continue
        is_small = n_tokens == families.BLOCK_TOKENS
        spans = (2, 2 * n_tokens) if is_small else (1, n_tokens)  # smaller blocks overlap
        n_state = 2 * spans[0] * spans[1]
        kept.append(CompressedLayer(index, n_tokens, heads.k, n_state * heads.k))
        if is_small:
            kept.append(CompressedLayer(index, n_tokens, indexer, n_state * indexer))
    return tuple(kept)


def _history(keys: Hyperparameters, n_embd: int) -> int:
    """What one layer keeps of the embeddings of the last tokens (`llama_hparams::ple_conv_state`)."""
    if keys.name != families.WITH_HISTORY or not keys.numbers("ple.layers"):
        return 0
    sizes = [keys.optional(f"ple.{name}", most=64) or 0 for name in ("conv_kernel", "ngram_size")]
    streams = keys.optional("hyper_connection.count", most=64) or 0
    return max(sizes[0] - 1, 0) * sizes[1] * streams * n_embd


def _layers_with_own_cache(keys: Hyperparameters, n_all: int) -> int:
    """The first so many layers keep their own keys and values; later ones read those of earlier layers."""
    if keys.name == "gemma3n":
        return families.GEMMA3N_LAYERS_WITH_KV
    if keys.name == "gemma4":
        return n_all - (keys.optional("attention.shared_kv_layers", most=n_all) or 0)
    return n_all


def _recurrent_state(keys: Hyperparameters, heads: _Heads, layers: _Layers, n_embd: int) -> Recurrent | None:
    """Widths as in `llama_hparams::n_embd_r` and `n_embd_s`."""
    n_layer = sum(layers.recurrent[: layers.n_main])
    if not n_layer:
        return None
    head_size = keys.optional("wkv.head_size", most=_MAX_WIDTH)
    if head_size:
        shifts = _or(keys.optional("token_shift_count", most=64), 2)
        return Recurrent(n_layer, shifts * n_embd, n_embd * head_size)
    shortconv = keys.optional("shortconv.l_cache", most=_MAX_WIDTH)
    if shortconv:
        return Recurrent(n_layer, n_embd * (shortconv - 1), 0)
    conv = keys.optional("ssm.conv_kernel", most=_MAX_WIDTH) or 0
    kda = keys.optional("kda.head_dim", most=_MAX_WIDTH)
    if kda:
        width = heads.n_head[0] * kda
        return Recurrent(n_layer, 3 * (conv - 1 if conv else 3) * width, kda * width)
    inner, state, groups = (
        keys.optional(suffix, most=2**24) or 0
        for suffix in ("ssm.inner_size", "ssm.state_size", "ssm.group_count")
    )
    n_embd_r = max(conv - 1, 0) * (inner + 2 * groups * state)
    if keys.name == "minimax-01":
        return Recurrent(n_layer, 0, heads.k * heads.k * heads.n_head[0])
    return Recurrent(n_layer, n_embd_r, state * inner)


def _read_experts(keys: Hyperparameters, n_all: int) -> tuple[int, int]:
    n_expert = keys.optional("expert_count", most=MAX_EXPERTS) or 0
    n_used = max(keys.per_layer("expert_used_count", n_all, default=0, most=MAX_EXPERTS) or (0,))
    if n_used > n_expert or (n_expert and not n_used):
        expected = (
            f"from 1 to {n_expert:,} experts used of {n_expert:,}" if n_expert else "no expert used of 0"
        )
        at = "expert_used_count" if keys.key("expert_used_count") in keys.metadata else "expert_count"
        raise keys.metadata.wrong(keys.key(at), expected, f"{n_used:,}")
    return n_expert, n_used


def _n_vocab(keys: Hyperparameters, tokenizer: Tokenizer, tensors: Iterable[Tensor]) -> int | None:
    """By the list of tokens, else by its key, else by the embedding's rows."""
    if tokenizer.n_tokens is not None:
        return tokenizer.n_tokens
    said = keys.optional("vocab_size")
    if said is not None:
        return said
    for tensor in tensors:
        if tensor.name == "token_embd.weight" and len(tensor.shape) == 2:
            return tensor.shape[1]
    return None


def _file_type(number: int | None) -> str | None:
    if number is None:
        return None
    return FILE_TYPES.get(number & ~1024, f"type {number}")  # 1024 marks a guess
