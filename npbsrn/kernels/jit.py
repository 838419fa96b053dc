"""How kernels are compiled and cached."""

import warnings
from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from numba import njit
from numba.core import config as _config
from numba.core import event
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator, _SourceFileBackedLocatorMixin
from numba.core.runtime.nrt import rtsys

from npbsrn.errors import UsageError
from npbsrn.kernels.compiling import WATCH
from npbsrn.kernels.cpu import chosen_kernel, kernel_folder
from npbsrn.kernels.parts import Part, PartCompiler, hand_environments
from npbsrn.storage.files import atomic_write

config: Any = _config  # whose names are made at run time

# Numba's file cache looks at the kernel's own file alone, and would keep a kernel whose helper in another file has
# changed, or that was compiled for another choice.
PLACES = ("kernels", "fused", "packed")  # of the package, where kernels are
SOURCES = sorted(path for place in PLACES for path in (Path(__file__).parents[1] / place).glob("*.py"))
STAMP = blake2b(b"".join([chosen_kernel().encode(), *(path.read_bytes() for path in SOURCES)])).hexdigest()

# Sums may be reordered, so that they can be done in vectors, and give other last bits on another CPU: for gradients
# alone, never where a sign of the forward pass depends on it (docs/architecture.md). All else follows IEEE 754.
SUMS = {"reassoc", "nsz", "contract"}

UNCALLED: Any = {"no_cfunc_wrapper": True}  # from C, for which Numba would compile a wrapper
FOLDERS: set[str] = set()  # in which the kernels that have been imported are kept

event.register("numba:compile", WATCH)


@cache
def _warn_once() -> None:
    name = "NUMBA_CACHE_DIR" if config.CACHE_DIR else "NPBSRN_CACHE"
    warnings.warn(
        "compiled kernels cannot be kept, so they are compiled in each process; set "
        f"{name} to a folder that can be written and has room",
        stacklevel=4,
    )


class KernelPlace(_SourceFileBackedLocatorMixin, _CacheLocator):
    """Where a kernel is kept: in `kernel_folder`, in a folder for each of the package's that hold kernels.

    Numba by itself would choose the package's own folders, where files would outlive the package.
    """

    def __init__(self, py_func: Any, py_file: str) -> None:
        self._py_file, self._lineno = py_file, py_func.__code__.co_firstlineno
        self._path = str(kernel_folder() / self.get_suitable_cache_subpath(py_file))

    def get_cache_path(self) -> str:
        """The folder."""
        return self._path


class _Impl(CompileResultCacheImpl):
    _locator_classes = [KernelPlace]  # noqa: RUF012


class KernelCache(FunctionCache):
    """Numba's cache of a function's machine code, at a `KernelPlace`."""

    _impl_class = _Impl

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        _harden(self._cache_file)

    def load_overload(self, signature: Any, context: Any) -> Any:
        """Load kept machine code without what only compiling takes.

        Numba imports all that it can compile, and SciPy's BLAS with it, before it looks for what is kept: a third of
        the time of a command that enlarges a small picture. It does so again before it compiles.
        """
        try:
            rtsys.initialize(context)  # whose functions machine code may call
            return self._load_overload(signature, context)
        except Exception:  # of a Numba that needs more
            return super().load_overload(signature, context)


def _harden(kept: Any) -> None:
    """Let a change of any kernel be noticed, and let what is damaged or cannot be kept be compiled anew.

    Parameters
    ----------
    kept : numba.core.caching.IndexDataCacheFile
    """
    kept._source_stamp = STAMP
    # By which Numba tells, before it reads further, what it could not read: names that have been moved since.
    kept._version = f"{kept._version} {STAMP}"
    load_index, load_data, save = kept._load_index, kept._load_data, kept.save

    def index() -> dict[Any, str]:
        try:
            return load_index()
        except Exception:  # whatever a damaged pickle raises
            return {}

    def data(name: str) -> Any:
        try:
            return load_data(name)
        except Exception as error:
            raise FileNotFoundError(name) from error  # with which Numba goes on

    def keep(key: Any, compiled: Any) -> None:
        try:
            save(key, compiled)
        except OSError:  # a full disk
            _warn_once()

    kept._load_index, kept._load_data, kept.save = index, data, keep
    kept._open_for_write = atomic_write  # Numba's own leaves a temporary file behind an interrupt


def inlined(function: Callable[..., Any]) -> Any:
    """Make a function's lines part of each kernel that calls it, before anything is compiled.

    Short functions that are called often: compiled one by one, those of the blocks took half of the first picture's
    time.
    """
    return njit(inline="always")(function)


def part(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function that only kernels call: it is kept on the disk as part of them (`npbsrn.kernels.parts`)."""

    def compile_lazily(function: Callable[..., Any]) -> Any:
        whole: Any = UNCALLED | {"no_cpython_wrapper": True} | options
        dispatcher = njit(nogil=True, pipeline_class=PartCompiler, **whole)(function)
        dispatcher.__class__ = Part
        return dispatcher

    return compile_lazily


def kernel(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function by Numba, without the GIL, and keep the result on the disk."""

    def compile_lazily(function: Callable[..., Any]) -> Any:
        dispatcher = njit(nogil=True, **UNCALLED, **options)(function)
        try:
            dispatcher._cache = KernelCache(function)
        except (RuntimeError, UsageError):  # Numba's, where the folder cannot be written; of who has no home folder
            _warn_once()
            return njit(nogil=True, **options)(function)
        FOLDERS.add(dispatcher.stats.cache_path)
        hand_environments(dispatcher)
        return dispatcher

    return compile_lazily
