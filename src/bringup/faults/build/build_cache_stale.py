"""An old build folder or CMake cache spoils the new build.

Symptom: cmake complains that the cache was made for another folder, source or generator, or the fresh
    program dies at once in ggml's own start-up check.
Reason: CMake keeps compiler paths, options and half-built libraries in the build folder. After a move, an
    update or a changed option these no longer belong together.
Sources: https://github.com/ggml-org/llama.cpp/issues/23559
    https://cmake.org/cmake/help/latest/manual/cmake.1.html
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

SIGNS = (
    Sign(
        r"CMakeCache\.txt directory .{0,120} is different than",
        anchor="cmakecache.txt",
        example="CMake Error: The current CMakeCache.txt directory /a/build/CMakeCache.txt is"
        " different than the directory /b/build where CMakeCache.txt was created.",
    ),
    Sign(
        r"does not match the source .{0,120} used to generate cache",
        anchor="used to generate cache",
        example='CMake Error: The source "/b/CMakeLists.txt" does not match the source'
        ' "/a/CMakeLists.txt" used to'
        " generate cache.",
    ),
    Sign(
        r"Does not match the (?:generator|platform|toolset) used previously",
        anchor="does not match the",
        example="CMake Error: Error: generator : Ninja Does not match the generator used previously:"
        " Unix Makefiles",
    ),
    Sign(
        r"have changed variables that require your cache to be deleted",
        anchor="require your cache to be deleted",
        example="  You have changed variables that require your cache to be deleted.",
    ),
    Sign(
        r"prev != ggml_uncaught_exception",
        anchor="ggml_uncaught_exception",
        example="ggml.cpp:22: GGML_ASSERT(prev != ggml_uncaught_exception) failed",
    ),
    Sign(
        r"ninja: error: '[^']{1,120}', needed by '[^']{1,120}', missing and no known rule",
        anchor="missing and no known rule",
        example="ninja: error: '/usr/local/cuda-12.1/lib64/libcudart.so', needed by"
        " 'bin/libggml-cuda.so', missing and no known rule to make it",
    ),
    Sign(
        r"undefined reference to [`'](?:ggml|llama|gguf|common)_\w{1,40}",
        anchor="undefined reference to ",
        example="ld: build/bin/libggml.so: undefined reference to `ggml_backend_cuda_reg'",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"No rule to make target '[^']{1,120}', needed by '[^']{1,120}'",
        anchor="no rule to make target",
        example="make[2]: *** No rule to make target '/usr/lib/libcublas.so', needed by"
        " 'bin/libggml-cuda.so'.  Stop.",
        certainty=Certainty.LIKELY,
        unless=("dkms", "modules_install"),
    ),
    Sign(
        r"Please commit your changes or stash them before you",
        anchor="commit your changes or stash them",
        example="Please commit your changes or stash them before you switch branches.",
        certainty=Certainty.LIKELY,
        needs=("llama",),
    ),
)

EXPLAINS = ("shared-library-mismatch",)

STEPS = (
    Step(
        "Delete the build folder (`rm -r build` in the source folder) and configure and build again.",
        safety=Safety.SAFE,
        touches="the build folder only",
        undo="the new build makes it again",
        verify=("llama-server", "--version"),
    ),
    Step(
        "Look for other copies of the libraries that the loader may take instead.",
        ("ldconfig", "-p"),
        safety=Safety.LOOK,
    ),
)
