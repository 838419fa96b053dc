"""What a worker does with a request, in this process, which is none of Dask's."""

import os
import pickle
import traceback
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from npbsrn.cluster import worker
from npbsrn.cluster.requests import Network, Outcome, Request
from npbsrn.cluster.worker import enlarge
from npbsrn.errors import ClusterError, ExistsError, PictureError, UsageError
from npbsrn.images.saving import Saving
from npbsrn.inference import jobs
from npbsrn.models import save_model
from npbsrn.runtime import memory
from npbsrn.storage.files import atomic_write, marked, remove_marked

BICUBIC = Network("bicubic", 4, "auto", None)


@pytest.fixture(autouse=True)
def process():
    """A process that has done nothing yet."""
    worker._gates.clear()
    worker._runner.cache_clear()
    with warnings.catch_warnings():
        warnings.resetwarnings()  # as in a worker's process
        yield
    worker._gates.clear()
    memory.hold_to(None)


@pytest.fixture
def request_(place_of_pictures):
    return Request(Path("a.png"), Path("out/a.png"), place_of_pictures, BICUBIC, Saving(make_folder=True))


@pytest.fixture
def place_of_pictures(tmp_path, rng):
    Image.fromarray(rng.integers(0, 256, (30, 20, 3), np.uint8)).save(tmp_path / "a.png")
    return tmp_path


def test_paths_are_those_of_where_the_run_was_begun(request_, place_of_pictures, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    outcome = enlarge(pickle.loads(pickle.dumps(request_)))
    assert (outcome.width, outcome.height, outcome.error) == (80, 120, "")
    with Image.open(place_of_pictures / "out/a.png") as image:
        assert image.size == (80, 120)
    (place_of_pictures / "b.png").write_bytes(b"no picture")
    bad = enlarge(replace(request_, source=Path("b.png"), target=Path("out/b.png")))
    assert bad.words.startswith("b.png ")  # not the folder, which was not given
    with pytest.raises(PictureError, match=r"^b\.png "):
        bad.check(request_)


def test_what_is_sent_is_small(request_):
    assert len(pickle.dumps(request_)) < 2000
    assert len(pickle.dumps(Outcome(1, 1, 1.0, True, ("words",)))) < 500


def test_an_existing_result_is_left_alone(request_, place_of_pictures):
    (place_of_pictures / "out").mkdir()
    (place_of_pictures / "out/a.png").write_text("mine")
    with pytest.raises(ExistsError, match=r"^out/a.png exists already and is left alone; choose another file"):
        enlarge(request_).check(request_)
    assert (place_of_pictures / "out/a.png").read_text() == "mine"


def test_warnings_come_back(request_, place_of_pictures):
    deep = np.zeros((4, 4), np.uint16)
    Image.fromarray(deep).save(place_of_pictures / "a.png")
    outcome = enlarge(replace(request_, target=Path("out/a.jpg")))
    assert outcome.error == ""
    assert len(outcome.notes) == 1
    assert "8 bits" in outcome.notes[0]


def test_another_version_is_refused(request_):
    with pytest.raises(ClusterError, match=r"a worker has npbsrn \S+, and this machine has npbsrn 0\.0\.9"):
        enlarge(replace(request_, version="0.0.9"))


def test_what_the_machine_has_where_the_run_was_begun_is_asked_for(request_, place_of_pictures):
    proof = place_of_pictures / "proof"
    with pytest.raises(ClusterError, match=r"^a worker does not see .*proof; give all machines the same paths"):
        enlarge(replace(request_, proof=proof))
    proof.touch()
    assert enlarge(replace(request_, proof=proof)).error == ""
    with pytest.raises(ClusterError, match=r"^a worker does not see b\.png; give all machines the same paths"):
        enlarge(replace(request_, source=Path("b.png")))


def test_what_nobody_has_foreseen_comes_back_in_a_few_words(request_, monkeypatch):
    """Dask drops a worker whose error it cannot send, and asks the next one for the same."""

    def fall(task):
        return fall(task)

    monkeypatch.setattr(worker, "_written", fall)
    with pytest.raises(RuntimeError, match=r"^RecursionError: maximum recursion depth") as caught:
        enlarge(request_)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # however deep what it stands for was
    assert len(traceback.extract_tb(caught.tb)) < 10


def test_a_worker_that_lacks_something_says_that_it_is_one(request_, monkeypatch):
    def lack(*_):
        raise UsageError("a package is missing")

    monkeypatch.setattr(worker, "runner_for", lack)
    with pytest.raises(ClusterError, match=r"^a worker refuses to begin: a package is missing"):
        enlarge(request_)


def test_other_weights_are_refused(request_, place_of_pictures, tiny_model):
    save_model(place_of_pictures / "tiny.npz", tiny_model)
    network = Network(str(place_of_pictures / "tiny.npz"), 4, "auto", "0" * 64)
    with pytest.raises(ClusterError, match=r"other weights at .*tiny\.npz"):
        enlarge(replace(request_, network=network))


@pytest.mark.skipif(not memory.STATM.exists(), reason="only Linux says how much memory there is")
def test_a_worker_with_little_memory_takes_strips(request_, place_of_pictures, monkeypatch):
    Image.new("RGB", (1500, 1200), (9, 99, 199)).save(place_of_pictures / "a.png")
    begun = []

    def begin(task):
        begun.append(jobs.begin(task))
        return begun[-1]

    monkeypatch.setattr(worker, "begin", begin)
    assert enlarge(replace(request_, target=Path("out/a.ppm"))).error == ""
    held = int(memory.STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    monkeypatch.setattr(worker, "_limit", lambda: int((held + 150e6) / worker.SHARE))
    worker._gates.clear()
    assert enlarge(replace(request_, target=Path("out/b.ppm"))).error == ""
    assert [type(job) for job in begun] == [jobs.WholeJob, jobs.StripsJob]
    assert (place_of_pictures / "out/a.ppm").read_bytes() == (place_of_pictures / "out/b.ppm").read_bytes()


def test_marked_files_are_removed_and_no_others(tmp_path):
    with marked("0123456789abcdef"), pytest.raises(RuntimeError, match="killed"):
        left_behind(tmp_path / "a.png")
    with pytest.raises(RuntimeError, match="killed"):
        left_behind(tmp_path / "b.png")
    assert len(list(tmp_path.iterdir())) == 2
    remove_marked([tmp_path, tmp_path / "nowhere"], "0123456789abcdef")
    (other,) = tmp_path.iterdir()
    assert other.name.startswith(".b.png.")


def left_behind(path):
    """Leave a temporary file as a process that is killed does."""
    with atomic_write(path) as file:
        (temporary,) = (other for other in path.parent.iterdir() if other.name.startswith(f".{path.name}."))
        kept = temporary.with_suffix(".kept")
        kept.hardlink_to(temporary)
        file.write(b"half")
        try:
            raise RuntimeError("killed")
        finally:
            temporary.unlink()
            kept.rename(temporary.with_name(temporary.name.replace(".tmp", "0.tmp")))
