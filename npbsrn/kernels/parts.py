"""Functions that only kernels call: they become machine code as part of each kernel, and not before."""

from functools import cached_property
from typing import Any

from numba import jit
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher


class _Unset:
    """A code generator for what is never loaded, and so has no place for a function's environment."""

    def __init__(self, codegen: Any) -> None:
        self._codegen = codegen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codegen, name)

    def set_env(self, name: str, env: Any) -> None:
        """Nothing: see `hand_environments`."""


class PartLibrary(JITCodeLibrary):
    """LLVM's code of a function and of those that it calls, for kernels to link.

    Numba optimises each function and makes machine code of it before it does the same with those that call it, and of
    which it becomes a part: a quarter of the time of compiling.
    """

    @property
    def codegen(self) -> Any:
        """Numba's code generator."""
        return _Unset(self._codegen)

    def finalize(self) -> None:
        """Link what is called, and nothing else; no function here has loops that Numba runs in parallel."""
        self._raise_if_finalized()
        for library in dict.fromkeys(self._linking_libraries):
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """No address: what is compiled here runs where it is linked."""
        self._ensure_finalized()
        return 0


class PartCompiler(Compiler):
    """Numba's own passes, into a `PartLibrary`."""

    def __init__(self, typing: Any, target: Any, library: Any, *rest: Any) -> None:
        super().__init__(typing, target, library or PartLibrary(target.codegen(), "part"), *rest)


class Part(CPUDispatcher):
    """What `npbsrn.kernels.jit.part` makes of a function. Python, such as a test, calls a copy with its own wrapper."""

    def add_overload(self, compiled: Any) -> None:
        """Let kernels find what is compiled, and Python not."""
        self.overloads[tuple(compiled.signature.args)] = compiled

    @cached_property
    def _alone(self) -> Any:
        options = {name: value for name, value in self.targetoptions.items() if name != "no_cpython_wrapper"}
        return jit(**options)(self.py_func)

    def _compile_for_args(self, *args: Any, **kws: Any) -> Any:
        return self._alone._compile_for_args(*args, **kws)


def hand_environments(dispatcher: Any) -> None:
    """Let a kernel that has just been compiled know the environments of its parts, as Numba does with one it loads."""
    add = dispatcher.add_overload

    def add_overload(compiled: Any) -> None:
        for env in compiled._find_referenced_environments():
            compiled.library.codegen.set_env(env.env_name, env)
        add(compiled)

    dispatcher.add_overload = add_overload
