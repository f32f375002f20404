"""Training networks in compiled code: on a CPU, each alone on one thread, without torch's overhead.

A network of a few channels on small images is over before torch has looked at the arguments of its
operations, and several of them side by side fall out of the caches. `native.c` runs the traced
operations of one network from the first to the last step of an epoch. It is compiled for this
machine when it is first needed and kept in the user's cache.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shlex
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphbo.errors import InputError
from graphbo.training.graph import Operation
from graphbo.training.program import Program
from graphbo.training.recipe import Recipe

_FLAGS = ("-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-std=gnu11")
_TUNED = (("-march=native",), ("-mcpu=native",), ())  # the first that the compiler accepts
_TYPES = {torch.float32: "float", torch.float64: "double"}
# In the order of `enum kind` in native.c.
_KINDS = (
    *("images", "convolution", "batch_norm", "relu", "average_pool", "max_pool", "mean"),
    *("flatten", "narrow", "sum", "cat", "zeros", "linear", "output"),
)
# Positions in the description of an operation; `enum field` in native.c has the same order.
_KIND, _FIRST, _INPUTS, _SHAPE, _KERNEL, _WEIGHT, _BIAS, _NORM, _RECTIFIED, _OPTION, _FIELDS = (
    *(0, 1, 2, slice(3, 6), slice(6, 14), 14, 15, slice(16, 20), 20, 21, 22),
)
_NORM_NAMES = ("weight", "bias", "running_mean", "running_var")


class NativeNetwork:
    """One network of a program, trained by compiled code on the program's weights.

    Calls leave the interpreter to other threads; one network must not be called twice at a time.

    Args:
        program: Holds the weights, in float32 or float64 on the CPU.
        member: The number of the network in the program.
        batch: The largest number of images in a step.

    Raises:
        InputError: If `supported` is False, or nothing can be compiled here.
    """

    def __init__(self, program: Program, member: int, batch: int) -> None:
        operations = program.operations[member]
        if not supported(operations, program.device, program.dtype):
            raise InputError("compiled code cannot train this network on this device")
        self._library = _library(_TYPES[program.dtype])
        self._program, self._member = program, member
        fields, inputs, numbers = _description(program, member, operations)
        self._network = self._library.graphbo_create(
            len(operations), _at(fields), _at(inputs), _at(numbers), batch
        )
        if not self._network:
            raise MemoryError("not enough memory for a network")

    def __del__(self) -> None:
        if getattr(self, "_network", None):
            self._library.graphbo_free(self._network)

    def train(
        self,
        momentum: Tensor,
        images: Tensor,
        classes: Tensor,
        order: Tensor,
        sizes: Sequence[int],
        rates: Sequence[float],
        recipe: Recipe,
    ) -> float:
        """Take steps of gradient descent.

        Args:
            momentum: Laid out as the program's weights, and changed like them.
            images: ``n x c x h x w`` of the program's type.
            classes: ``n`` (int64, contiguous).
            order: The numbers of the images of all steps (int64), one step after the other.
            sizes: How many images each step has.
            rates: The learning rate of each step.
            recipe: Its momentum, weight decay and label smoothing.

        Returns:
            The sum of the losses of all images that were shown.

        Raises:
            ValueError: If a batch norm has a single value to learn from.
            IndexError: If the network has no logit for a class.
        """
        assert classes.dtype == torch.int64
        assert classes.is_contiguous()
        last = self._program.operations[self._member][-1].shape[0] - 1
        if len(order) and (target := int(classes[order].max())) > last:  # as torch says it
            raise IndexError(f"Target {target} is out of bounds.")
        program, shown = self._program, images.contiguous()
        counts, learning = np.array(sizes, dtype=np.int64), np.array(rates, dtype=np.float64)
        settings = np.array([recipe.momentum, recipe.weight_decay, recipe.label_smoothing])
        loss = ctypes.c_double()
        failed = self._library.graphbo_train(
            *(self._network, program.weights.data_ptr(), momentum.data_ptr()),
            *(program.buffers.data_ptr(), shown.data_ptr(), classes.data_ptr()),
            *(order.data_ptr(), len(sizes), _at(counts), _at(learning), _at(settings)),
            ctypes.byref(loss),
        )
        if failed:
            raise ValueError("batch norm cannot learn from one image of one pixel")
        return loss.value

    def wrong(self, images: Tensor, classes: Tensor) -> tuple[int, bool]:
        """Return how many images are classified wrongly, and whether all logits are finite.

        Args:
            images: ``n x c x h x w`` of the program's type.
            classes: ``n`` (int64, contiguous).
        """
        assert classes.dtype == torch.int64
        assert classes.is_contiguous()
        finite, shown = ctypes.c_int64(), images.contiguous()
        count = self._library.graphbo_evaluate(
            *(self._network, self._program.weights.data_ptr(), self._program.buffers.data_ptr()),
            *(shown.data_ptr(), classes.data_ptr(), len(classes), ctypes.byref(finite)),
        )
        return int(count), bool(finite.value)


def supported(operations: Sequence[Operation], device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether compiled code can train a network: without grouped convolutions, on a CPU.

    Images too small for a network are left to torch, which says so.
    """
    grouped = any(o.kind == "convolution" and o.settings[6] != 1 for o in operations)
    empty = any(min(o.shape) < 1 for o in operations)
    return device.type == "cpu" and dtype in _TYPES and not grouped and not empty


@cache
def available() -> bool:
    """Return whether there is a C compiler here whose code runs.

    The environment variable ``GRAPHBO_NATIVE=0`` says no.
    """
    if os.environ.get("GRAPHBO_NATIVE") == "0":
        return False
    try:
        _library("float")
    except (InputError, OSError):
        return False
    return True


def _description(
    program: Program, member: int, operations: Sequence[Operation]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    fields = np.full((len(operations), _FIELDS), -1, dtype=np.int64)
    numbers = np.zeros((len(operations), 2))
    inputs: list[int] = []
    for row, o in enumerate(operations):
        shape = o.shape if len(o.shape) == 3 else (*o.shape, 1, 1)
        fields[row, _KIND] = _KINDS.index(o.kind)
        fields[row, _FIRST], fields[row, _INPUTS] = len(inputs), len(o.inputs)
        inputs += o.inputs
        fields[row, _SHAPE] = shape
        fields[row, _KERNEL] = [1, 1, 1, 1, 0, 0, 1, 1]
        fields[row, _RECTIFIED] = fields[row, _OPTION] = 0
        norm = None
        if o.kind == "convolution":
            _, _, kernel, stride, padding, dilation, _, _, *norms = o.settings
            fields[row, _KERNEL] = [*kernel, *stride, *padding, *dilation]
            norm = norms[0] if norms else None
        elif o.kind == "batch_norm":
            norm = (*o.settings, False)
        elif o.kind in ("average_pool", "max_pool"):
            pairs = [(size, size) if isinstance(size, int) else size for size in o.settings[:3]]
            fields[row, _KERNEL] = [*pairs[0], *pairs[1], *pairs[2], 1, 1]
            fields[row, _OPTION] = o.kind == "average_pool" and o.settings[4]
        elif o.kind == "narrow":
            fields[row, _OPTION] = o.settings[0]
        if o.kind in ("convolution", "linear"):
            fields[row, _WEIGHT] = program.offset(member, f"{o.modules[0]}.weight")
            if o.settings[7 if o.kind == "convolution" else 0]:
                fields[row, _BIAS] = program.offset(member, f"{o.modules[0]}.bias")
        if norm is not None:
            numbers[row] = norm[:2]
            fields[row, _RECTIFIED] = norm[2]
            names = [f"{o.modules[-1]}.{name}" for name in _NORM_NAMES]
            fields[row, _NORM] = [program.offset(member, name) for name in names]
    return fields, np.array(inputs, dtype=np.int64), numbers


def _at(array: NDArray[np.int64] | NDArray[np.float64]) -> ctypes.c_void_p:
    """Return where an array is; whoever calls keeps it alive."""
    return array.ctypes.data_as(ctypes.c_void_p)


@cache
def _library(real: str) -> ctypes.CDLL:
    """Return the compiled code for a type of numbers.

    Raises:
        InputError: If there is no compiler, or it does not compile.
        OSError: If the code cannot be loaded.
    """
    source = files("graphbo.training").joinpath("native.c").read_bytes()
    command = shlex.split(os.environ.get("CC", "")) or [_compiler()]
    key = hashlib.blake2b(digest_size=8)
    for part in (source, real, command, _FLAGS, _processor()):
        key.update(repr(part).encode())
    path = _folder() / f"native-{key.hexdigest()}.so"
    if not path.exists():
        _compile(source, real, command, path)
    library = ctypes.CDLL(str(path))
    pointer, integer = ctypes.c_void_p, ctypes.c_int64
    library.graphbo_create.restype = pointer
    library.graphbo_create.argtypes = [integer, pointer, pointer, pointer, integer]
    library.graphbo_free.restype = None
    library.graphbo_free.argtypes = [pointer]
    library.graphbo_train.restype = library.graphbo_evaluate.restype = integer
    library.graphbo_train.argtypes = [*[pointer] * 7, integer, *[pointer] * 4]
    library.graphbo_evaluate.argtypes = [*[pointer] * 5, integer, pointer]
    return library


def _compile(source: bytes, real: str, command: Sequence[str], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        code, made = Path(folder) / "native.c", Path(folder) / "native.so"
        code.write_bytes(source)
        for tuned in _TUNED:
            arguments = [*command, *_FLAGS, *tuned, f"-DREAL={real}", "-fPIC", "-shared"]
            try:
                found = subprocess.run(
                    [*arguments, "-o", str(made), str(code), "-lm"],
                    check=False,
                    capture_output=True,
                    text=True,
                )
            except OSError as error:
                raise InputError(f"the compiler {command[0]!r} cannot be run: {error}") from error
            if found.returncode == 0:
                os.replace(made, path)  # another process may have been faster
                return
    raise InputError(f"the compiler {command[0]!r} failed: {found.stderr.strip()}")


def _compiler() -> str:
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return name
    raise InputError("there is no C compiler here: none of cc, gcc and clang was found")


def _processor() -> str:
    """Name the processor: code for one may not run on another that has the same folder."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    wanted = ("flags", "Features", "model name")
    described = sorted({line for line in lines if line.startswith(wanted)})
    return f"{sysconfig.get_platform()} {described}"


def _folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "graphbo"
