"""The engine finds libraries of another build, or none.

Symptom: "undefined symbol: ggml_...", "libllama.so: cannot open shared object file", or a backend of an
    incompatible API version.
Reason: llama-server, libllama and the ggml libraries only fit together when they come from one build. The
    loader took some of them from another place: an older installation, another project, or files unpacked
    over each other.
Sources: https://github.com/ggml-org/llama.cpp/issues/8695
    https://github.com/ggml-org/llama.cpp/issues/28684
    https://man7.org/linux/man-pages/man8/ld.so.8.html
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.reading import Known

SIGNS = (
    Sign(
        r"undefined symbol: (?:_Z\w{0,40})?(?:ggml|llama|gguf|mtmd|common|quantize|clip)_?\w{0,40}",
        anchor="undefined symbol: ",
        example="./llama-cli: symbol lookup error: build/src/libllama.so: undefined symbol:"
        " ggml_cpu_has_llamafile",
    ),
    Sign(
        r"lib(?:llama|ggml|mtmd|llava|whisper)[\w-]*\.so[.\d]*: cannot open shared object file",
        anchor="cannot open shared object file",
        example="llama-server: error while loading shared libraries: libllama.so: cannot open shared"
        " object file: No such file or directory",
    ),
    Sign(
        r"incompatible API version \(backend: \d{1,10}, current: \d{1,10}\)",
        anchor="incompatible api version",
        example="load_backend: failed to initialize backend from libggml-cuda.so: incompatible API"
        " version (backend: 1, current: 2)",
    ),
    Sign(
        r"Failed to load shared library '.{0,120}(?:llama|ggml)|[Ss]hared library with base name '(?:llama|"
        r"ggml|mtmd)'",
        anchor="shared library",
        example="FileNotFoundError: Shared library with base name 'llama' not found",
    ),
    Sign(
        r"Library not loaded: \S{0,80}lib(?:llama|ggml)",
        anchor="library not loaded",
        example="dyld[2133]: Library not loaded: @rpath/libllama.dylib",
    ),
    Sign(
        r"(?:^|: )/(?:[\w.+-]{1,60}/){1,8}lib(?:c|m|stdc\+\+)\.so\.6: version [`'\"]?"
        r"(?:GLIBC|GLIBCXX|CXXABI)_?[\d.]+['\"]? not found",
        anchor=" not found",
        example="cuda: /lib/x86_64-linux-gnu/libstdc++.so.6: version `GLIBCXX_3.4.32' not found",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"version [`'\"]?(?:GLIBC|GLIBCXX|CXXABI)_?[\d.]+['\"]? not found \(required by .{0,120}(?:llama|"
        r"ggml|"
        r"ollama|kobold)",
        anchor=" not found (required by",
        example="./llama-server: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found"
        " (required by ./libllama.so)",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"\blib(?:llama|ggml|mtmd|llava)[\w-]{0,30}\.so[.\d]{0,12} => not found",
        anchor="=> not found",
        example="        libllama.so => not found",
    ),
    Sign(
        r"lib(?:llama|ggml|mtmd|llava|whisper)[\w-]{0,40}\.so[.\d]{0,12}: (?:invalid ELF header|"
        r"wrong ELF class|file too short)",
        anchor=".so",
        example="OSError: /usr/lib/python3/dist-packages/llama_cpp/lib/libllama.so: invalid ELF header",
    ),
    Sign(
        r"DLL load failed while importing (?:llama_cpp|_?pywhispercpp)",
        anchor="dll load failed while importing",
        example="ImportError: DLL load failed while importing llama_cpp: The specified module could not be"
        " found.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"Could not find module '.{1,200}(?:ggml|llama)[\w-]{0,30}\.dll'",
        anchor="could not find module '",
        example="FileNotFoundError: Could not find module 'C:\\llama_cpp\\lib\\ggml.dll' (or one of its"
        " dependencies)",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"llama runner process (?:has )?terminated:? exit status ?127\b",
        anchor="exit status",
        example="Error: llama runner process has terminated: exit status 127",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"OSError: \S{1,200}\.so[.\d]{0,12}: undefined symbol: \w",
        anchor="undefined symbol: ",
        example="OSError: /srv/koboldcpp/koboldcpp_cublas.so: undefined symbol: cuMemCreate",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"\bggml[\w-]{0,30}\.(?:dll|so)\W{1,3}(?:file )?is missing",
        anchor="is missing",
        example="The `ggml-vulkan.dll` file is missing from the folder of llama-server",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"[Cc]ould not load (?:library|engine)\b.{0,200}(?:llama|ggml)\S{0,40}\.?(?:dll|so)",
        anchor="could not load ",
        example='Could not load library "/opt/jan/engines/cortex.llamacpp/libengine.so"',
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("backend-not-loaded",)

STEPS = (
    Step("See which libraries the loader knows.", ("ldconfig", "-p"), safety=Safety.LOOK),
    Step(
        "See which files llama-server takes (`ldd` on the binary) and compare their folders.",
        safety=Safety.LOOK,
    ),
    Step(
        "Unset LD_LIBRARY_PATH for this start and remove the stray copies, or put the whole release"
        " into an empty folder of its own.",
        safety=Safety.SAFE,
        touches="the engine's folder or the variable",
        undo="move the files back",
        verify=("llama-server", "--version"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """LD_LIBRARY_PATH serves the first build a library of another one."""
    engines = scene.stack.build.engines
    if not isinstance(engines, Known) or not engines.value[0].strayed:
        return None
    first = engines.value[0]
    name, folder = first.strayed[0]
    return Evidence(
        saw=f"{name} of {first.program} is taken from {folder} (LD_LIBRARY_PATH)",
        expected="the library that lies beside the program",
        sources=(first.program, "LD_LIBRARY_PATH"),
        certainty=Certainty.LIKELY,
        decides=f"ldd {first.program}",
        strength=5,
    )
