import pytest

from npbsrn.errors import UsageError
from npbsrn.networks.base import make_network
from npbsrn.reproduction.tables import BICUBIC, ROWS, SETS, TABLES, choose_rows, published


def test_every_published_figure_has_its_place():
    for table, row, scale, name in published():
        assert name in SETS
        if row == BICUBIC:
            assert table == "all"
        else:
            assert row in TABLES[table].rows
            assert scale in TABLES[table].scales


def test_published_figures_are_of_their_kinds():
    for figures in published().values():
        assert 20 < figures.psnr < 40
        assert figures.ssim is None or 0.5 < figures.ssim < 1
        assert figures.note in ("", "misprint", "unchecked")


def test_rows_are_networks_that_differ():
    networks = {}
    for name, row in ROWS.items():
        network = make_network({"name": row.network, "binarizer": dict(row.binarizer), "scale": 2})
        networks[name] = repr(network.config)
    assert len(set(networks.values())) == len(ROWS)


def test_every_row_has_a_table():
    assert {name for table in TABLES.values() for name in table.rows} == set(ROWS)


def test_rows_are_chosen_by_either_name():
    assert choose_rows("table4", ["W2", "bsrn-a1", "bsrn-w2"]) == ("bsrn-w2", "bsrn-a1")
    assert choose_rows("table1", None) == TABLES["table1"].rows


def test_what_is_not_there_is_refused():
    with pytest.raises(UsageError, match="there is no table6; choose among table1"):
        choose_rows("table6", None)
    with pytest.raises(UsageError, match="table1 has no row bsrn; it has vdsr-bnn"):
        choose_rows("table1", ["bsrn"])
