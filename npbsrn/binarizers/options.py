"""Options of schemes: the known values, and error messages for unknown ones."""

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
