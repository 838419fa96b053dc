"""npbsrn: binarized super-resolution networks, trained and run on an ordinary CPU.

>>> import npbsrn
>>> picture = npbsrn.upscale("photograph.jpg")        # doctest: +SKIP
>>> model = npbsrn.train("DIV2K", scale=4)            # doctest: +SKIP
>>> report = npbsrn.evaluate(model, "Set5", scale=4)  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from npbsrn.errors import NpbsrnError as NpbsrnError
    from npbsrn.inference.evaluation import evaluate as evaluate
    from npbsrn.inference.files import upscale_file as upscale_file
    from npbsrn.inference.upscaling import upscale as upscale
    from npbsrn.models import Model as Model
    from npbsrn.models import load as load
    from npbsrn.training.train import train as train

__version__ = "0.1.0"

_HOMES = {
    "train": "npbsrn.training.train",
    "upscale": "npbsrn.inference.upscaling",
    "upscale_file": "npbsrn.inference.files",
    "evaluate": "npbsrn.inference.evaluation",
    "load": "npbsrn.models",
    "Model": "npbsrn.models",
    "NpbsrnError": "npbsrn.errors",
}
__all__ = ["Model", "NpbsrnError", "__version__", "evaluate", "load", "train", "upscale", "upscale_file"]  # noqa: F822, RUF100


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that ``import npbsrn`` is quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'npbsrn' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
