"""The weights of a linear layer to a function of float32 states, in one of three arithmetics."""

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from indexer.language.library_versions import read_library_versions
from indexer.package_version import read_version

if TYPE_CHECKING:  # torch takes seconds to import: only when a model is loaded
    import torch

Tensor: TypeAlias = "torch.Tensor"
Linear: TypeAlias = Callable[["torch.Tensor"], "torch.Tensor"]  # (n, in) to (n, out), float32


class Arithmetic(StrEnum):
    """How a product of states and weights is computed; sums are in float32 in each."""

    FLOAT32 = "float32"
    FLOAT16_WEIGHTS = "float16 weights"  # states stay float32
    BFLOAT16 = "bfloat16"


def describe_arithmetic(arithmetic: Arithmetic) -> str:
    """Return an arithmetic with the libraries and instructions that it is computed by."""
    import torch

    libraries = [f"{name} {version}" for name, version in read_library_versions().items()]
    instructions = torch.backends.cpu.get_cpu_capability()
    return ", ".join([arithmetic, *libraries, instructions, f"zhiyin {read_version()}"])


def has_float16_weights() -> bool:
    """Whether this CPU has kernels for them: FBGEMM's, on x86."""
    import torch

    return "fbgemm" in torch.backends.quantized.supported_engines and hasattr(
        torch.ops.quantized, "linear_prepack_fp16"
    )


def build_linear(weight: Tensor, bias: Tensor, arithmetic: Arithmetic) -> Linear:
    """Return the layer of a weight `(out, in) float32` and a bias `(out,) float32`.

    A few tokens take as long as reading the weights from memory takes: float16 ones take half.
    """
    import torch

    linear = torch.nn.functional.linear
    match arithmetic:
        case Arithmetic.FLOAT32:
            return lambda states: linear(states, weight, bias)
        case Arithmetic.FLOAT16_WEIGHTS:
            ops = torch.ops.quantized
            packed = ops.linear_prepack_fp16(weight, bias)
            return lambda states: ops.linear_dynamic_fp16(states, packed)
        case Arithmetic.BFLOAT16:
            rounded, rounded_bias = weight.to(torch.bfloat16), bias.to(torch.bfloat16)
            return lambda states: linear(states.to(torch.bfloat16), rounded, rounded_bias).float()
