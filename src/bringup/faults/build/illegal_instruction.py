"""The engine was built for a processor with more instructions than this one has.

Symptom: the program dies at once with "Illegal instruction" (SIGILL, exit code 132, 0xc000001d).
Reason: the binary uses vector instructions such as AVX, AVX2 or AVX-512 that this processor, or the
    virtual machine's model of it, does not offer. A build with -march=native carries the builder's
    processor into the program.
Sources: https://github.com/abetlen/llama-cpp-python/issues/839
    https://github.com/ollama/ollama/issues/516
Limits: CUDA's "an illegal instruction was encountered" happens on the GPU and is `cuda-kernel-crash`.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

SIGNS = (
    Sign(
        r"[Ii]llegal [Ii]nstruction(?! was encountered| Parameter| Encoding| Address)",
        anchor="illegal instruction",
        example="Illegal instruction (core dumped)",
    ),
    Sign(r"\bSIGILL\b", anchor="sigill", example="Program received signal SIGILL, Illegal instruction."),
    Sign(
        r"(?:llama|ollama|python|kobold|ggml)[\w.-]{0,40}\[\d{1,10}\] trap invalid opcode"
        r"|trap invalid opcode .{0,100} in \S{0,60}(?:llama|ggml|ollama|kobold)",
        anchor="trap invalid opcode",
        example="traps: llama-server[213941] trap invalid opcode ip:7f4aa44a4e94 sp:7ffceec92e60"
        " error:0 in libggml-cpu.so[7f4aa448a000+9f000]",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"0x[cC]000001[dD]\b",
        anchor="0xc000001d",
        example="Exception code 0xc000001d",
    ),
    Sign(
        r"WinError -1073741795",
        anchor="winerror -1073741795",
        example="OSError: [WinError -1073741795] Windows Error 0xc000001d",
    ),
    Sign(
        r"[Ee]xit(?:ed)?(?: with)? (?:code|status):? 132\b",
        anchor=" 132",
        example="llama-server exited with code 132",
    ),
    Sign(
        r"CPU does not (?:have|support) AVX",
        anchor="does not",
        example='level=WARN msg="CPU does not have AVX or AVX2, disabling GPU support."',
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"illegal hardware instruction",
        anchor="illegal hardware instruction",
        example="[1]    12345 illegal hardware instruction (core dumped)  ./llama-cli",
    ),
    Sign(
        r"(?:llama|ollama|kobold)[\w./-]{0,40}: (?:cannot execute binary file: )?[Ee]xec format error",
        anchor="exec format error",
        example="exec /app/llama-server: exec format error",
        certainty=Certainty.LIKELY,
    ),
)

STEPS = (
    Step(
        "See which instructions the processor has (look for avx, avx2, fma, f16c).",
        ("lscpu",),
        safety=Safety.LOOK,
    ),
    Step(
        "In a virtual machine, give it the host's processor type (QEMU, Proxmox: CPU type `host`).",
        safety=Safety.DISRUPTIVE,
        touches="the machine's configuration, after a restart of it",
        undo="the former CPU type",
        verify=("llama-server", "--version"),
    ),
    Step(
        "Where a program brings the engine along (ollama, LM Studio, a wheel of llama-cpp-python), take its"
        " newest release: those choose by the processor. A wheel is built here instead with"
        " CMAKE_ARGS=-DGGML_NATIVE=ON pip install --force-reinstall --no-binary llama-cpp-python"
        " llama-cpp-python.",
        safety=Safety.SAFE,
        touches="that program",
        undo="the former release",
        verify=("llama-server", "--version"),
    ),
    Step(
        "Build on this machine, or with -DGGML_NATIVE=OFF and the missing instructions off"
        " (-DGGML_AVX2=OFF, -DGGML_FMA=OFF); llama.cpp's releases with several ggml-cpu libraries"
        " choose by themselves.",
        safety=Safety.SAFE,
        touches="the build folder",
        undo="the former build",
        verify=("llama-server", "--version"),
    ),
)
