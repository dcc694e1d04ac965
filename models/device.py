"""What the machine can do: the device, and whether 16-bit arithmetic is faster on it than 32-bit."""

from typing import Literal

import torch

Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]
_NAMED = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(name: str = "auto") -> torch.device:
    """The named device; `auto` is the accelerator if there is one, else the CPU."""
    if name != "auto":
        return torch.device(name)
    found = torch.accelerator.current_accelerator(check_available=True)
    return found if found is not None else torch.device("cpu")


def pick_dtype(device: torch.device, precision: Precision = "auto") -> torch.dtype:
    """bfloat16 where it is the faster one: on accelerators, and on CPUs with AVX512-BF16 or AMX; else float32.

    On GPUs that only imitate bfloat16 (before Ampere) it is float16. With int8 it is the precision of what does not run
    in 8 bits.
    """
    if precision in _NAMED:
        return _NAMED[precision]
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    if device.type != "cpu":
        return torch.bfloat16
    can = torch.cpu.get_capabilities()
    return torch.bfloat16 if can.get("avx512_bf16") or can.get("amx_bf16") else torch.float32
