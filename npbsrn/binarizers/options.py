"""Options of schemes: the values that they can have, and error messages for others."""

from typing import Any

from npbsrn.errors import UsageError


def check_options(scheme: str, options: Any, **known: tuple[Any, ...]) -> None:
    """Refuse a value that an option of a scheme cannot have.

    Raises
    ------
    UsageError
        If ``getattr(options, name)`` is not among the known values of a name.
    """
    for name, values in known.items():
        value = getattr(options, name)
        if not any(value is one or (value == one and type(value) is type(one)) for one in values):
            names = ", ".join(map(str, values))
            raise UsageError(f"the option {name} of {scheme} cannot be {value!r}; choose among {names}")


def check_positive(scheme: str, options: Any, *names: str) -> None:
    """Refuse an option of a scheme that is not a finite number above 0.

    Raises
    ------
    UsageError
    """
    for name in names:
        value = getattr(options, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise UsageError(f"the option {name} of {scheme} must be a number above 0, not {value!r}")
