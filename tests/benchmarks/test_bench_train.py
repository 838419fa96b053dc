"""The benchmark's table of a step: its parts are found where the step looks them up. Nothing is timed."""

import dataclasses

import numpy as np
import pytest

from benchmarks.parts import LB_BACKWARD, LB_FORWARD, OPERATIONS, PLAIN, timed_parts
from benchmarks.step_table import LEFT, REST, Row, print_table
from npbsrn.networks.base import make_network
from npbsrn.training.config import TrainConfig
from npbsrn.training.step import first_state, train_step


@pytest.fixture(scope="module")
def parts():
    network = make_network({"scale": 4, "blocks": 1})
    x, y = np.zeros((1, 3, 16, 16), np.float32), np.ones((1, 3, 64, 64), np.float32)
    with timed_parts() as parts:
        train_step(first_state(network, 0), network, dataclasses.replace(TrainConfig(), network=network.config), x, y)
    return parts


def test_every_part_is_met_in_a_step(parts):
    names = {part for _, _, part, _ in (*OPERATIONS, *PLAIN)} - {"LB-blocks"} | {LB_FORWARD, LB_BACKWARD}
    assert set(parts) == names
    assert all(part.seconds > 0 and part.work > 0 for part in parts.values())


def test_work_of_float_convolutions(parts):
    pixels, head, trunk, tail = 16 * 16, 3 * 48 * 9, 48 * 48 * 9, 48 * 48 * 25
    assert parts["head and trunk"].work == pixels * (2 * head + 3 * trunk)
    composed = 48 * 48 * 9 * (36 * 3 + 100 * 12)  # for each pair of phase and tap along both axes, one product
    assert parts["tail"].work == 3 * (pixels * tail + composed)


def test_rows_add_up_to_the_step(capsys):
    print_table(1.0, [Row("a", 0.5, LEFT, "memory", 0.25), Row("b", 0.25, LEFT)])
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[-3:] for line in lines[:1]] == [["50.0%", "50%", "memory"]]
    assert lines[-1].split()[: len(REST.split())] == REST.split()
    assert "250.00" in lines[-1]
