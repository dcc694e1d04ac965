"""What the machine can do: the device, and whether 16-bit arithmetic is faster on it than 32-bit."""

from typing import Literal

import structlog
import torch

from opinionwatch.models.kernels import takes
from opinionwatch.pipeline.errors import SettingsError

log = structlog.get_logger(__name__)
Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]
_NAMED = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(name: str = "auto") -> torch.device:
    """The named device; `auto` is the accelerator if there is one, else the CPU.

    Raises SettingsError for a device that is none, or that this machine does not have.
    """
    if name != "auto":
        return _named(name)
    found = torch.accelerator.current_accelerator(check_available=True)
    return found if found is not None else torch.device("cpu")


def _named(name: str) -> torch.device:
    try:
        found = torch.device(name)
        # What cannot hold a number and give it back cannot score; the reasons are PyTorch's.
        torch.zeros(1, device=found).item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise SettingsError(f"device '{name}' cannot be used: {reason}; write auto, cpu, or cuda:0") from error
    return found


def pick_dtype(device: torch.device, precision: Precision = "auto") -> torch.dtype:
    """bfloat16 where it is the faster one: on accelerators, and on CPUs with AVX512-BF16 or AMX; else float32.

    On GPUs that only imitate bfloat16 (before Ampere) it is float16. With int8 it is the precision of what does not run
    in 8 bits.
    """
    if precision in _NAMED:
        if device.type == "cpu" and not takes(_NAMED[precision]):
            log.warning(
                "precision.slow", precision=precision, why="this CPU has no AVX-512: fp32 is faster; write auto"
            )
        return _NAMED[precision]
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    if device.type != "cpu":
        return torch.bfloat16
    can = torch.cpu.get_capabilities()
    return torch.bfloat16 if can.get("avx512_bf16") or can.get("amx_bf16") else torch.float32
