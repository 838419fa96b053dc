"""Memory of arrays that are made in a kernel lives as long as it is used."""

import ast

import numpy as np
import pytest

from npbsrn.kernels import jit
from npbsrn.kernels.jit import kernel
from npbsrn.kernels.memory import hold, memory, put, scalar

MAKERS = {"empty", "zeros", "ones", "aligned"}


def made_here(function):
    """Names of arrays that a function makes."""
    return {name for name, value in assignments(function) if called(value) in MAKERS}


def assignments(function):
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            target = node.targets[0]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = zip(target.elts, node.value.elts, strict=True)
                yield from ((one.id, value) for one, value in pairs if isinstance(one, ast.Name))
            elif isinstance(target, ast.Name):
                yield target.id, node.value


def called(value):
    if not isinstance(value, ast.Call):
        return None
    return value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", None)


def let_go(function):
    """Arrays made in a function that are named for the last time before their memory is."""
    lines = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Name):
            lines[node.id] = max(lines.get(node.id, 0), node.lineno)
    places = {
        name: value.args[0].id
        for name, value in assignments(function)
        if called(value) == "memory" and isinstance(value.args[0], ast.Name)
    }
    return [array for place, array in places.items() if array in made_here(function) and lines[array] < lines[place]]


def functions():
    for path in jit.SOURCES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                yield pytest.param(node, id=f"{path.stem}.{node.name}")


@pytest.mark.parametrize("function", list(functions()))
def test_no_kernel_lets_go_of_memory_that_it_uses(function):
    """Numba frees an array behind the last line that names it."""
    assert let_go(function) == []


def test_what_is_let_go_of_is_seen():
    source = "def f(n):\n    a = np.zeros(n)\n    m = memory(a)\n    put(m, 0, n)\n"
    assert let_go(ast.parse(source).body[0]) == ["a"]
    assert let_go(ast.parse(source + "    hold(a)\n").body[0]) == []


@kernel()
def _counted(n):
    a = np.zeros(16, np.float32)
    place = memory(a)
    for _ in range(n):
        other = np.ones(16, np.float32)
        put(place, 0, scalar(place, 0) + other[0])
    result = scalar(place, 0)
    hold(a)
    return result


def test_held_memory_is_nobody_elses():
    assert _counted(9) == 9
