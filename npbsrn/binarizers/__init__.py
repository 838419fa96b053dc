"""Schemes that turn a convolution's activations and filters into +-1 (or leave them), one file a scheme."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from npbsrn.binarizers.bam import Bam
from npbsrn.binarizers.base import Binarizer
from npbsrn.binarizers.full_precision import FullPrecision
from npbsrn.errors import UsageError

SCHEMES: dict[str, type[Binarizer]] = {"bam": Bam, "float": FullPrecision}


def make_binarizer(options: Mapping[str, Any]) -> Binarizer:
    """Build the scheme that ``options["name"]`` names; the other entries are its options.

    Raises
    ------
    UsageError
        If the name, an option or an option's value is unknown.
    """
    fields = dict(options)
    name = fields.pop("name", "bam")
    if not isinstance(name, str) or name not in SCHEMES:
        raise UsageError(f"there is no binarizer {name!r}; choose among {', '.join(SCHEMES)}")
    try:
        return SCHEMES[name](**fields)
    except TypeError:
        known = ", ".join(SCHEMES[name].__dataclass_fields__) or "none"
        raise UsageError(f"the binarizer {name} has no such option among {', '.join(fields)}; it has {known}") from None


def describe(scheme: Binarizer) -> dict[str, Any]:
    """All options of a scheme, from which `make_binarizer` builds it again."""
    name = next(name for name, kind in SCHEMES.items() if isinstance(scheme, kind))
    return {"name": name, **dataclasses.asdict(scheme)}
