"""Schemes that turn a convolution's activations and filters into sums of signs, or leave them float; one file each.

A scheme is a subclass of `npbsrn.binarizers.base.Binarizer`, which keeps a table of their names. All files in this
folder are imported here.
"""

import dataclasses
from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from npbsrn.binarizers.base import SCHEMES, Binarizer
from npbsrn.errors import UsageError

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

OLD_NAMES = {"float": "none"}


def make_binarizer(options: str | Mapping[str, Any]) -> Binarizer:
    """Build the scheme that ``options["name"]``, or `options` itself, names; the other entries are its options.

    Raises
    ------
    UsageError
        If the name, an option or an option's value is unknown.
    """
    if not isinstance(options, str | Mapping):
        raise UsageError(f"binarizer must be a name or options, not {options!r}")
    fields = {"name": options} if isinstance(options, str) else dict(options)
    name = fields.pop("name", "bam")
    name = OLD_NAMES.get(name, name) if isinstance(name, str) else name
    if not isinstance(name, str) or name not in SCHEMES:
        raise UsageError(f"there is no binarizer {name!r}; choose among {', '.join(sorted(SCHEMES))}")
    known = [field.name for field in dataclasses.fields(SCHEMES[name])]
    if unknown := [field for field in fields if field not in known]:
        words = f"; it has {', '.join(known)}" if known else "; it has none"
        raise UsageError(f"the binarizer {name} has no option {', '.join(unknown)}{words}")
    return SCHEMES[name](**fields)


def describe(scheme: Binarizer) -> dict[str, Any]:
    """All options of a scheme, from which `make_binarizer` builds it again."""
    return {"name": scheme.name, **dataclasses.asdict(scheme)}
