"""`bringup show`: what a person and a program are told about a model file."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.model.writing import (
    ARRAY,
    BOOL,
    STRING,
    U32,
    Array,
    build,
    gpt_oss_20b,
    llama_pairs,
    llama_tensors,
    tiny_llama,
)
from tests.stubs.command_line import Home, run_cli

from bringup.faces.cli import main
from bringup.faces.render.console import Console
from bringup.model.quants import TensorType
from bringup.model.sizes import TensorKind, classify


def show(*arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `bringup show ...`."""
    stdout, stderr = io.StringIO(), io.StringIO()
    code = main.run(("show", *arguments), console=Console(stdin=None, stdout=stdout, stderr=stderr))
    return code, stdout.getvalue(), stderr.getvalue()


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    pairs = [
        *llama_pairs(),
        ("tokenizer.chat_template", STRING, "{% for m in messages %}\n{{ m.content }}{% endfor %}"),
    ]
    path.write_bytes(build(pairs, llama_tensors()).data)
    return path


def test_the_real_small_model(small_model: Path) -> None:
    code, out, err = show(str(small_model))
    assert (code, err) == (0, "")
    for line in (
        "llama · 135M parameters · Q4_1 · 5.74 bits per weight · context 8,192",
        "  heads         9, 3 for keys and values, 64 elements each",
        "  size          93.8 MiB (98,362,432 bytes)",
        "  embedding             1       28.3M  28.7 MiB   31 %   8.50",
        "  all                 272        135M  92.1 MiB  100 %   5.74",
        "  Q4_1                210        106M  63.3 MiB   69 %   5.00",
        "  model         gpt2, pre-tokenizer smollm",
        "  bos           1  <|im_start|>",
        "Template  368 characters, whole with --template",
    ):
        assert line in out.splitlines()
    assert "\x1b" not in out


def test_experts_and_windows_of_gpt_oss(tmp_path: Path) -> None:
    path = tmp_path / "gpt-oss-20b.gguf"
    path.write_bytes(gpt_oss_20b().data)
    code, out, _ = show(str(path))
    assert "  experts       32, 4 used for a token, 2,880 wide" in out
    assert "  window        128 tokens in 12 of 24 layers" in out
    assert "  experts             192       19.1B   9.5 GiB   84 %   4.26" in out
    assert code == 1  # the file holds no weights
    assert "Refused: cut short: 12,0" in out
    assert "[gguf-cut-short]" in out


def test_the_tensor_table(tiny: Path) -> None:
    code, out, _ = show(str(tiny), "--tensors")
    lines = out.splitlines()
    assert code == 0
    assert len(lines) == 1 + 20
    assert lines[0].split() == ["tensor", "shape", "type", "bytes", "offset"]
    assert lines[1].split() == ["token_embd.weight", "64", "x", "285", "F32", "72,960", "0"]
    assert len({len(line) for line in lines}) == 1  # figures end at one edge


def test_the_template_alone(tiny: Path) -> None:
    assert show(str(tiny), "--template") == (0, "{% for m in messages %}\n{{ m.content }}{% endfor %}\n", "")


def test_a_file_without_a_template_says_so(tmp_path: Path) -> None:
    path = tmp_path / "base.gguf"
    path.write_bytes(tiny_llama().data)
    assert "Template  none in the file" in show(str(path))[1]
    code, out, err = show(str(path), "--template")
    assert (code, out) == (2, "")
    assert "[no-template]" in err


def documented_fields() -> tuple[set[str], set[str]]:
    """Names in the table of docs/show-json.md, and those in its paragraph on `architecture`."""
    text = (Path(__file__).parents[2] / "docs" / "show-json.md").read_text(encoding="utf-8")
    table = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    names = {name.strip(" `") for cell in table for name in cell.split(",")}
    paragraph = text[text.index("`architecture` holds") :].split("\n\n", maxsplit=1)[0]
    return names, {word for word in paragraph.split("`")[3::2]}


def test_json_holds_the_documented_fields_and_no_others(tiny: Path) -> None:
    code, out, _ = show(str(tiny), "--json", "--tensors")
    document = json.loads(out)
    fields, figures = documented_fields()
    assert code == 0
    assert document["schema"] == 1
    assert set(document) == fields
    assert set(document["architecture"]) == figures
    assert document["parameters"] == sum(
        tensor["shape"][0] * (tensor["shape"] + [1])[1] for tensor in document["tensors"]
    )
    assert document["weights_bytes"] == sum(kind["size_bytes"] for kind in document["by_kind"].values())
    assert document["tokenizer"]["special"]["bos"] == {"id": 1, "text": "<s>"}
    assert document["metadata"]["tokenizer.ggml.tokens"] == {"array_of": "string", "count": 285}
    assert document["problems"] == []
    assert "tensors" not in json.loads(show(str(tiny), "--json")[1])


WITHOUT_NETWORK = """
import sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        print("a network call:", arguments, file=sys.stderr)
        raise OSError("no network here")
sys.addaudithook(refuse)
from bringup.faces.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("name", "says", "reference"),
    [
        ("qwen3-4b", "bringup pull qwen3-4b", "not-on-this-disk"),
        ("nobody/nothing:Q4_K_M", "bringup pull nobody/nothing:Q4_K_M", "not-on-this-disk"),
        ("./nowhere.gguf", "bringup models", "no-such-file"),
        ("/", "a folder, not a model file", "is-a-folder"),
    ],
)
def test_what_is_not_here_is_told_and_nothing_is_fetched(name: str, says: str, reference: str) -> None:
    argv = [sys.executable, "-c", WITHOUT_NETWORK, "show", name]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode in (1, 2)
    assert done.stdout == ""
    assert says in done.stderr
    assert f"[{reference}]" in done.stderr
    assert "network call" not in done.stderr


def test_a_path_that_cannot_be_looked_at_is_no_absent_file(tmp_path: Path) -> None:
    nowhere, circle = tmp_path / "nowhere.gguf", tmp_path / "circle.gguf"
    nowhere.symlink_to("moved.gguf")
    circle.symlink_to("circle.gguf")
    for command in (("show",), ("plan",), ("run", "--prompt", "Hi")):
        for path, says in ((nowhere, "a link that leads nowhere"), (circle, "Too many levels of symbolic")):
            done = run_cli(Home(tmp_path / "home"), command[0], str(path), *command[1:])
            assert (done.returncode, done.stdout) == (1, ""), done
            assert says in done.stderr and "[file-trouble]" in done.stderr, done.stderr


HOSTILE = "a\x1b[2J\x1b]8;;https://evil.example\x07link\u202egpj.exe\x9b31m\r\nforged: line\x00"


def test_foreign_text_stays_text(tmp_path: Path) -> None:
    pairs = llama_pairs(**{"general.name": (STRING, HOSTILE)})
    pairs += [
        (f"general.{word}", STRING, HOSTILE) for word in ("license", "author", "organization", "size_label")
    ]
    pairs += [("tokenizer.chat_template", STRING, HOSTILE), (HOSTILE, U32, 1)]
    tokens = ["<unk>", HOSTILE, *(f"t{number}" for number in range(283))]
    pairs = [
        ("tokenizer.ggml.tokens", ARRAY, Array(STRING, tokens)) if p[0].endswith(".tokens") else p
        for p in pairs
    ]
    path = tmp_path / "hostile.gguf"
    path.write_bytes(build(pairs, llama_tensors()).data)
    for option in ((), ("--tensors",), ("--template",), ("--json",)):
        _, out, err = show(str(path), *option)
        allowed = {"\n", "\t"}
        assert not [
            c for c in out + err if (ord(c) < 32 and c not in allowed) or 127 <= ord(c) < 160 or c == "\u202e"
        ]
    lines = show(str(path))[1].splitlines()
    template_at = next(n for n, line in enumerate(lines) if line.startswith("Template"))
    assert not [line for line in lines[:template_at] if line.startswith("forged")]


def test_a_long_text_takes_one_line(tmp_path: Path) -> None:
    pairs = llama_pairs(**{"general.name": (STRING, "n" * 60_000), "general.architecture": (STRING, "llama")})
    path = tmp_path / "long.gguf"
    path.write_bytes(build([*pairs, ("general.author", STRING, "a" * 60_000)], llama_tensors()).data)
    assert max(map(len, show(str(path))[1].splitlines())) <= 200


def test_a_projector_is_shown_without_figures(tmp_path: Path) -> None:
    path = tmp_path / "mmproj.gguf"
    path.write_bytes(
        build([("general.architecture", STRING, "clip"), ("clip.has_vision_encoder", BOOL, True)]).data
    )
    code, out, _ = show(str(path))
    assert code == 1
    assert "[not-a-language-model]" in out
    assert json.loads(show(str(path), "--json")[1])["architecture"] is None


NAMES = {
    TensorKind.EMBEDDING: "token_embd.weight per_layer_token_embd.weight position_embd.weight "
    "token_types.weight",
    TensorKind.ATTENTION: "blk.0.attn_q.weight blk.10.attn_output.bias blk.0.attn_sinks.weight "
    "blk.3.attn_kv_a_mqa.weight",
    TensorKind.FEED_FORWARD: "blk.0.ffn_up.weight blk.0.ffn_gate_shexp.weight blk.9.ffn_down.bias",
    TensorKind.EXPERTS: "blk.0.ffn_up_exps.weight blk.0.ffn_gate_inp.weight blk.1.exp_probs_b.bias "
    "blk.0.ffn_down.7.weight",
    TensorKind.NORM: "output_norm.weight blk.0.attn_norm.weight blk.0.attn_q_norm.weight "
    "blk.0.ffn_norm.weight blk.0.post_attention_norm.weight token_embd_norm.weight blk.0.ssm_norm.weight",
    TensorKind.OUTPUT: "output.weight output.bias cls.weight",
    TensorKind.RECURRENT: "blk.0.ssm_in.weight blk.0.time_mix_key.weight blk.0.shortconv.conv.weight",
    TensorKind.OTHER: "rope_freqs.weight v.patch_embd.weight blk.0.layer_output_scale.weight",
}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in NAMES.items() for name in names.split()]
)
def test_kinds_of_tensors(kind: TensorKind, name: str) -> None:
    assert classify(name) is kind


def test_storage_types_have_the_bits_that_people_know() -> None:
    known = {
        "F16": 16,
        "Q8_0": 8.5,
        "Q6_K": 6.5625,
        "Q4_K": 4.5,
        "Q4_0": 4.5,
        "MXFP4": 4.25,
        "IQ2_XXS": 2.0625,
    }
    assert {name: TensorType[name].bits_per_element for name in known} == known
