"""All layers of one machine, bottom up, as far as somebody looked.

A layer that nobody looked at holds `reading.NOT_LOOKED` everywhere. Pasted text fills a few readings of a
few layers, a live machine or a recording fills all of them; the rules that judge need not tell them apart.
"""

from __future__ import annotations

from dataclasses import field

from bringup.records import dataclass
from bringup.stack.build import Build
from bringup.stack.container import Container
from bringup.stack.cuda import Cuda
from bringup.stack.hardware import Hardware
from bringup.stack.kernel import Kernel
from bringup.stack.memory import Memory
from bringup.stack.nvml import Nvml
from bringup.stack.runtime import Runtime
from bringup.stack.toolkit import Toolkit
from bringup.stack.userspace import Userspace


@dataclass(frozen=True, slots=True)
class Stack:
    """The facts, layer by layer, without any opinion."""

    hardware: Hardware = field(default_factory=Hardware)
    kernel: Kernel = field(default_factory=Kernel)
    userspace: Userspace = field(default_factory=Userspace)
    nvml: Nvml = field(default_factory=Nvml)
    cuda: Cuda = field(default_factory=Cuda)
    toolkit: Toolkit = field(default_factory=Toolkit)
    build: Build = field(default_factory=Build)
    runtime: Runtime = field(default_factory=Runtime)
    memory: Memory = field(default_factory=Memory)
    container: Container = field(default_factory=Container)
