"""A tool or development package that the build needs is missing or too old.

Symptom: cmake, pip or make stops early and names a program, a compiler, a header or a library that it
    cannot find.
Reason: llama.cpp is compiled on this machine, which takes cmake, a C++17 compiler and the development
    files of what it links. One of them is not installed, so the build cannot start or leaves out a
    feature such as HTTPS.
Sources: https://github.com/ggml-org/llama.cpp/blob/master/docs/build.md
    https://github.com/ggml-org/llama.cpp/issues/12933
Limits: a missing nvcc is `nvcc-not-found`; a warning about ccache, git, OpenMP or NCCL is no fault.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

_TOOLS = r"(?:cmake|make|ninja|gcc|g\+\+|cc|c\+\+|clang|clang\+\+|git|pkg-config)"

SIGNS = (
    Sign(
        rf"(?:^|: )(?:line \d+: )?{_TOOLS}: (?:command )?not found",
        anchor="not found",
        example="bash: cmake: command not found",
    ),
    Sign(
        rf"Command '{_TOOLS}' not found, but can be installed",
        anchor="not found, but can be installed",
        example="Command 'cmake' not found, but can be installed with:",
    ),
    Sign(
        rf"\b(?:make|error|env|sh|line \d{{1,6}}): (?:.{{0,60}}: )?{_TOOLS}: No such file or directory",
        anchor=": no such file or directory",
        example="make: g++: No such file or directory",
    ),
    Sign(
        rf"command '(?:[\w-]{{1,30}}-)?{_TOOLS}' failed: No such file",
        anchor="' failed: no such file",
        example="error: command 'gcc' failed: No such file or directory",
    ),
    Sign(
        r"Could NOT find (?:CURL|OpenSSL|BLAS|Vulkan|Threads|SPIRV-Headers|Python3)\b",
        anchor="could not find",
        example="  Could NOT find CURL.  Hint: to disable this feature, set -DLLAMA_CURL=OFF",
        unless=("-- build files have been written",),
    ),
    Sign(
        r'Target "[\w.-]{1,40}" links to(?::?$|(?: target)? "?CUDA::\w+)',
        anchor='" links to',
        example='  Target "ggml-cuda" links to:',
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"built without (?:CURL|SSL|HTTPS)",
        anchor="built without",
        example="error: built without CURL, downloading from the internet is not supported",
    ),
    Sign(
        r"'https' scheme is not supported",
        anchor="'https' scheme is not supported",
        example="'https' scheme is not supported.",
    ),
    Sign(
        r"HTTPS is not supported\. Please rebuild",
        anchor="https is not supported",
        example="HTTPS is not supported. Please rebuild with one of:",
    ),
    Sign(
        r"unable to find a build program corresponding to",
        anchor="unable to find a build program",
        example='CMake Error: CMake was unable to find a build program corresponding to "Unix Makefiles".',
    ),
    Sign(
        r"No CMAKE_C(?:XX)?_COMPILER could be found|CMAKE_C(?:XX)?_COMPILER not set",
        anchor="cmake_c",
        example="  No CMAKE_CXX_COMPILER could be found.",
    ),
    Sign(
        r"Could not find compiler set in environment variable C(?:XX|C)",
        anchor="could not find compiler set",
        example="  Could not find compiler set in environment variable CXX:",
    ),
    Sign(
        r"CMake [\d.]+(?:\.\.\.[\d.]+)? or higher is required",
        anchor="or higher is required",
        example="  CMake 3.18 or higher is required.  You are running version 3.16.3",
    ),
    Sign(
        r"fatal error: '?(?:curl/|openssl/|vulkan/|filesystem|charconv|span\b|stdio\.h|cstdint|Python\.h|"
        r"cblas\.h|omp\.h|SDL2?[/.])[^ ]*",
        anchor="fatal error: ",
        example="common/arg.cpp:14:10: fatal error: curl/curl.h: No such file or directory",
    ),
    Sign(
        r"cannot find -l(?:curl|ssl|crypto|stdc\+\+|gomp|pthread|vulkan|openblas)\b",
        anchor="cannot find -l",
        example="/usr/bin/ld: cannot find -lcurl: No such file or directory",
    ),
    Sign(
        r"CMakeNotFoundError|CMake must be installed to build|Could not find CMake with version",
        anchor="cmake",
        example="scikit_build_core._vendor.CMakeNotFoundError: Could not find CMake with version >=3.21",
    ),
    Sign(
        r"unrecognized command[- ]line option '?-std=(?:c|gnu)\+\+(?:17|1z|2a|20)",
        anchor="unrecognized command",
        example="g++: error: unrecognized command line option '-std=c++17'",
    ),
    Sign(
        r"missing: .{0,120}\bglslc\b",
        anchor="glslc",
        example='-- Could NOT find Vulkan (missing: glslc) (found version "1.3.204")',
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"Unable to locate package (?:cmake|build-essential|g\+\+|gcc|git|ninja-build|libcurl\S{0,20}|libs"
        r"sl\S{0,20})\s*$",
        anchor="unable to locate package ",
        example="E: Unable to locate package cmake",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"is not a full path and was not found in the PATH",
        anchor="is not a full path and was not found",
        example="  is not a full path and was not found in the PATH.",
        unless=("cmake_cuda_compiler",),
    ),
    Sign(
        r"undefined reference to .{0,2}std::(?:__cxx11::)?(?:experimental::)?filesystem::",
        anchor="undefined reference to ",
        example="undefined reference to `std::filesystem::__cxx11::path::_M_split_cmpts()'",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"package configuration file provided by \"(?:SPIRV-Headers|CURL|OpenSSL|Vulkan|OpenCL\w{0,10}|BLA"
        r"S|OpenMP)\"",
        anchor="package configuration file provided by",
        example='  Could not find a package configuration file provided by "SPIRV-Headers" with any of'
        " the following names:",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"Microsoft Visual C\+\+ \d{1,2}\.\d{1,2} or greater is required",
        anchor="or greater is required",
        example="error: Microsoft Visual C++ 14.0 or greater is required.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"\b_mm(?:256|512)?_\w{1,40}.{0,3} was not declared in this scope",
        anchor="was not declared in this scope",
        example="ggml.c:494: error: '_mm256_set_m128i' was not declared in this scope",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"Error: (?:no such instruction|invalid instruction suffix)",
        anchor="error: ",
        example="/tmp/ccvWxDHg.s:2390: Error: no such instruction: `vpdpbusd %ymm0,%ymm1,%ymm2'",
        certainty=Certainty.LIKELY,
        unless=("nvidia",),
    ),
    Sign(
        r"\b(?!CUDA|CMAKE_CUDA)\w{2,40}_EXECUTABLE-NOTFOUND\b",
        anchor="_executable-notfound",
        example="sh: 1: Vulkan_GLSLC_EXECUTABLE-NOTFOUND: not found",
    ),
    Sign(
        r"requires the language dialect \"(?:CUDA|CXX)\d{2}\"",
        anchor="requires the language dialect ",
        example='  Target "ggml" requires the language dialect "CUDA17" (with compiler extensions), but'
        " CMake does not",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"No module named '(?:skbuild|scikit_build_core|cmake|ninja)'",
        anchor="no module named '",
        example="ModuleNotFoundError: No module named 'skbuild'",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"Microsoft Visual C\+\+ \d{2}\.\d or greater is required",
        anchor="or greater is required",
        example="error: Microsoft Visual C++ 14.0 or greater is required.",
    ),
    Sign(
        r"implicit declaration of function '?`?vld1q_(?:s8|u8|s16)_x[24]",
        anchor="vld1q_",
        example="warning: implicit declaration of function 'vld1q_s8_x4'; did you mean 'vld1q_s8_x2'?",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"Unable to find libclang: ",
        anchor="unable to find libclang",
        example="Unable to find libclang: 'no valid shared libraries matching libclang.so'",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"^\s{0,12}CUDA::\w{3,20}\s{0,4}$",
        anchor="cuda::",
        example="    CUDA::cudart",
        certainty=Certainty.LIKELY,
        needs=("but the target was not found",),
    ),
    Sign(
        r"undefined reference to .{0,2}httplib::SSL",
        anchor="undefined reference to ",
        example="undefined reference to `httplib::SSLServer::SSLServer(char const*)'",
        certainty=Certainty.LIKELY,
    ),
)

STEPS = (
    Step(
        "Install the compiler, cmake and the development files of OpenSSL and curl (Debian and Ubuntu;"
        " other distributions name them alike).",
        ("apt-get", "install", "build-essential", "cmake", "git", "libssl-dev", "libcurl4-openssl-dev"),
        safety=Safety.SAFE,
        needs_root=True,
        undo="remove the same packages",
        verify=("cmake", "--version"),
        touches="distribution packages",
    ),
    Step(
        "Where the line names another piece, install that one: libclang-dev for the bindings of Rust, the"
        " CUDA toolkit's own cuBLAS files (cuda-libraries-dev) and a cmake of 3.18 or later for CUDA::cublas,"
        " libvulkan-dev and glslc for Vulkan.",
        safety=Safety.SAFE,
        touches="distribution packages",
        undo="remove the same packages",
    ),
    Step(
        "Delete the build folder and configure again, so that cmake looks anew.",
        touches="the build folder",
        undo="configuring again makes it again",
    ),
)
