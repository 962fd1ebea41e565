"""The model file cannot be opened: wrong path, a folder, or no permission.

Symptom: "failed to open GGUF file", "No such file or directory", "Permission denied", or a magic that is
    empty.
Reason: the path that reached the engine does not lead to a file that this user may read. In a container
    it must be the path inside, and the container's user must have the right.
Sources: https://github.com/mostlygeek/llama-swap/issues/376
    https://github.com/ggml-org/llama.cpp/issues/9061
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults.model._magic import Found, found_magic

_PART = ("-00002-of-", "-00003-of-", "-00004-of-", "-00005-of-")

SIGNS = (
    Sign(
        r"failed to open GGUF file|gguf_init_from_file(?:_impl)?: failed to open",
        anchor="failed to open",
        example="gguf_init_from_file: failed to open GGUF file '/models/gpt-oss-20b-mxfp4.gguf'",
        unless=_PART,
    ),
    Sign(
        r"error loading model: .{0,120}failed to open (?:.{0,120}: (?:No such file|Permission denied|"
        r"Is a directory)|\S.{0,300}$)",
        anchor="failed to open",
        example="error loading model: failed to open models/7B/ggml-model-q4_0.bin: No such file or"
        " directory",
        unless=_PART,
    ),
    Sign(
        r"Model path does not exist|[Mm]odel file (?:does not exist|not found)|Cannot find text model file",
        anchor="model",
        example="ValueError: Model path does not exist: ./models/mistral-7b.gguf",
    ),
    Sign(
        r"(?:FileNotFoundError|PermissionError|IsADirectoryError|No such file or directory|"
        r"Permission denied).{0,120}\.gguf",
        anchor=".gguf",
        example="FileNotFoundError: [Errno 2] No such file or directory: '/models/qwen3-4b.gguf'",
        unless=_PART,
    ),
    Sign(
        r"\.gguf['\"]?:? \(?(?:No such file or directory|Permission denied|Is a directory)",
        anchor=".gguf",
        example="ls: cannot access '/models/qwen3-4b.gguf': No such file or directory",
        unless=_PART,
    ),
    Sign(
        r"(?:open|mkdir|stat|lstat) \S{0,80}\.?ollama\S{0,80}: permission denied",
        anchor="permission denied",
        example="Error: open /usr/share/ollama/.ollama/models/blobs/sha256-1a2b: permission denied",
    ),
    Sign(
        r"Error: (?:could not create directory )?mkdir \S{1,120}: permission denied",
        anchor="permission denied",
        example="Jan 22 21:25:41 box sh[301002]: Error: mkdir /home/ada/model_drive: permission denied",
        needs=("ollama",),
    ),
    Sign(
        r"failed to load lora adapter|llama_adapter_lora_init\w{0,40}: failed",
        anchor="lora",
        example="common_init_from_params: failed to load lora adapter 'style.gguf'",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"read error: Is a directory",
        anchor="is a directory",
        example="llama_model_load: error loading model: read error: Is a directory",
    ),
    Sign(
        r"invalid model path|error: --model is required",
        anchor="model",
        example="error: --model is required",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"no (?:Modelfile or safetensors|safetensors or torch) files found",
        anchor="files found",
        example="Error: no Modelfile or safetensors files found",
    ),
    Sign(
        r"\.gguf\S{0,3}:? .{0,30}(?:does not exist|not found)\b",
        anchor=".gguf",
        example="error: model file /models/qwen3.gguf does not exist",
        certainty=Certainty.LIKELY,
        unless=(
            "404",
            "huggingface.co",
            "ollama.com",
        ),
    ),
    Sign(
        r"error while handling (?:argument|environment variable) .{1,40}: .{0,20}(?:failed to open file|"
        r"file not found|does not exist)",
        anchor="error while handling ",
        example='error while handling argument "--chat-template-file": error: failed to open file'
        " 'x.jinja'",
    ),
    Sign(
        r"open \S{0,200}blobs/sha256-[0-9a-f]{2,64}: no such file",
        anchor="blobs/sha256-",
        example="Error: open /root/.ollama/models/blobs/sha256-1a2b3c: no such file or directory",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"model ['\"\\]{0,2}[\w.:/-]{1,100}['\"\\]{0,2} not found, try pulling it first",
        anchor="not found, try pulling it first",
        example="Error: model 'llama3' not found, try pulling it first",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"glob\(['\"]\*\.gguf['\"]\)\)\[0\]",
        anchor="*.gguf",
        example="model_file = sorted(Path(f'{shared.args.model_dir}/{model_name}').glob('*.gguf'))[0]",
        certainty=Certainty.LIKELY,
        needs=("list index out of range",),
    ),
    Sign(
        r"(?i)(?:cannot (?:access|stat|open)|failed to open) \S{0,80}(?:/models?/|ggml-model|\.gguf|\.bin)"
        r"\S{0,80}: no such file",
        anchor="no such file",
        example="ls: cannot access '/models/7B/ggml-model-f16.bin*': No such file or directory",
        certainty=Certainty.LIKELY,
        unless=("-of-0",),
    ),
)

STEPS = (
    Step(
        "Look at the path in the error line as the user that runs the engine: `ls -ld PATH`.",
        safety=Safety.LOOK,
    ),
    Step(
        "Name the file itself, not its folder, with its full path; in a container the path inside (see -v).",
        safety=Safety.SAFE,
        touches="your start script",
        undo="the former path",
        verify=("bringup", "ps"),
    ),
    Step(
        "Give the engine's user the right to read it: `chmod a+r` on the file and `chmod a+x` on the"
        " folders above, or run the container with the owner's user id. On SELinux, mount with :z.",
        safety=Safety.SAFE,
        touches="rights of the file and its folders",
        undo="chmod with the former mode",
        verify=("bringup", "ps"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """The loader read no magic at all: the path names a folder or an empty file."""
    magic = found_magic(scene.lines)
    if magic is None or magic.found is not Found.NOTHING:
        return None
    return Evidence(
        saw=f"the file begins with {magic.text!r}: {magic.found.value}",
        expected="GGUF",
        sources=(f"{magic.line.source}, line {magic.line.number}",),
        certainty=Certainty.LIKELY,
        decides="ls -ld MODEL",
        strength=8,
    )
