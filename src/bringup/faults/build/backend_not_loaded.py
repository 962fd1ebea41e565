"""The engine's backends are separate libraries and none, or not the wanted one, was loaded.

Symptom: "no backends are loaded", or a model that loads on the CPU although the build has a libggml-cuda.so.
Reason: builds with dynamic backends load libggml-cpu-*.so and libggml-cuda.so from the folder of the
    program at start. A program that does not ask for it, a library in another folder, or one whose own
    needs are not met leaves the engine without that backend.
Sources: https://github.com/ddh0/easy-llama/issues/17
    https://github.com/ggml-org/llama.cpp/blob/master/docs/build.md
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

SIGNS = (
    Sign(
        r"no backends are loaded",
        anchor="no backends are loaded",
        example="llama_model_load_from_file_impl: no backends are loaded. hint: use ggml_backend_load()",
    ),
    Sign(
        r"no CPU backend found|failed to initialize CPU backend",
        anchor="cpu backend",
        example="llama_model_load: error loading model: make_cpu_buft_list: no CPU backend found",
    ),
    Sign(
        r"failed to find ggml_backend_init in|ggml_backend_init returned NULL",
        anchor="ggml_backend_init",
        example="load_backend: failed to find ggml_backend_init in /opt/llama/libggml-cuda.so",
    ),
    Sign(
        r"failed to load \S*(?:lib)?ggml-(?:cuda|vulkan|hip|cpu|sycl)\S*",
        anchor="failed to load",
        example="ggml_backend_load_best: failed to load /opt/llama/libggml-cuda.so: libnvrtc.so.12:"
        " cannot open shared"
        " object file",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"ggml-backend.*GGML_ASSERT\((?:device|backend|dev|reg)\) failed",
        anchor="ggml_assert(",
        example="ggml-backend.cpp:1800: GGML_ASSERT(device) failed",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("running-on-cpu",)

STEPS = (
    Step("See which backends this build loads.", ("llama-server", "--list-devices"), safety=Safety.LOOK),
    Step(
        "Keep libggml-*.so in the folder of llama-server (or of libllama.so), all of one release; in"
        " your own program"
        " call ggml_backend_load_all() before the model is loaded.",
        safety=Safety.SAFE,
        touches="the engine's folder",
        undo="move the files back",
    ),
)
