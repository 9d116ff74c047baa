"""triton.language.extra.cpu.libdevice: names and types of libdevice's functions; what they compute is the CPU compiler's."""

from triton.language.extra.cuda.libdevice import *  # noqa: F403
