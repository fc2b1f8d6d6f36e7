"""Loops that NumPy cannot do well, compiled by Numba; the same in NumPy where Numba does not run.

    def _count_numpy(codes): ...

    @compiled(fallback=_count_numpy)
    def count(codes): ...        # plain Python in the part of it that Numba compiles

Both give equal results; tests hold one against the other through `count.compiled` and `count.fallback`.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, Generic, ParamSpec, TypeVar, cast

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

# Set to anything: the fallbacks are used. For machines that must not compile, and to tell a fault of the compiler.
INTERPRET = "KIBAN_NO_COMPILER"


class Compiled(Generic[Parameters, Result]):
    """A function in two forms; a call takes the compiled one unless Numba is missing or unwanted."""

    def __init__(self, function: Callable[Parameters, Result], fallback: Callable[Parameters, Result]) -> None:
        self.function, self.fallback = function, fallback
        functools.update_wrapper(cast(Callable[..., Any], self), function)

    @functools.cached_property
    def compiled(self) -> Callable[Parameters, Result]:
        """Compiled at the first call for each combination of types, and kept on disk for later processes.

        Raises:
            ImportError: there is no Numba for this Python.
        """
        numba = _numba()
        while _PARTS:
            numba.extending.register_jitable(_PARTS.pop())
        try:
            kept = numba.njit(cache=True, nogil=True)(self.function)
        except RuntimeError:  # nowhere to keep it: each process compiles for itself
            kept = numba.njit(nogil=True)(self.function)
        return cast(Callable[Parameters, Result], kept)

    @functools.cached_property
    def _chosen(self) -> Callable[Parameters, Result]:
        if os.environ.get(INTERPRET):
            return self.fallback
        try:
            return self.compiled
        except ImportError:
            return self.fallback

    def __call__(self, *arguments: Parameters.args, **named: Parameters.kwargs) -> Result:
        return self._chosen(*arguments, **named)


def compiled(
    *, fallback: Callable[Parameters, Result]
) -> Callable[[Callable[Parameters, Result]], Compiled[Parameters, Result]]:
    """Compile the decorated function with Numba; `fallback` gives the same results in NumPy."""

    def both(function: Callable[Parameters, Result]) -> Compiled[Parameters, Result]:
        return Compiled(function, fallback)

    return both


def part(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """For a function that compiled functions call: compiled with them, and still a plain function for others."""
    _PARTS.append(function)
    return function


@functools.cache
def _numba() -> Any:
    """Numba, ready to compile.

    It imports SciPy, if there is one, for products of matrices; no loop here has any, and that import would double
    the time in which a process can start.
    """
    hidden = "scipy" not in sys.modules
    if hidden:
        sys.modules["scipy"] = cast(ModuleType, None)
    try:
        import numba
        import numba.extending
        import numba.np.arraymath
    finally:
        if hidden:
            del sys.modules["scipy"]
    return numba


# Not registered with Numba yet: importing that takes a while, and many commands compile nothing.
_PARTS: list[Callable[..., Any]] = []
