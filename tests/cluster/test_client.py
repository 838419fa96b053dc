"""Schedulers that are not there, and workers that will not do: one sentence each, within seconds."""

import signal
import socket
import subprocess
import sys
import threading

import pytest

from npbsrn.cli.parser import main
from npbsrn.cluster import client
from tests.cluster.conftest import ENVIRONMENT, PATIENCE, end, npbsrn, start


@pytest.fixture
def extra():
    pytest.importorskip("distributed", reason="Dask is missing: pip install '.[dask]'")


def test_the_extra_is_named_where_it_is_missing(place, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["upscale", "a.png", "-o", "out/", "--dask", "local"]) == 2
    assert capsys.readouterr().err == "npbsrn: --dask needs more packages: pip install 'npbsrn[dask]'\n"
    assert not (place / "out").exists()


def test_dask_is_imported_only_where_it_is_asked_for(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    assert main(["upscale", "a.png", "-o", "out/", "-m", "bicubic", "--quiet"]) == 0


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nowhere", "--dask nowhere: missing port number in address 'nowhere'; give tcp://HOST:PORT, or local"),
        ("tcp://host", "--dask tcp://host: missing port number in address 'host'; give tcp://HOST:PORT, or local"),
        ("odd://host:1", "--dask odd://host:1: unknown address scheme 'odd'"),
        (" ", "--dask names no scheduler; give tcp://HOST:PORT, or local"),
    ],
)
def test_what_is_no_address(address, words, place, capsys, extra):
    assert main(["upscale", "a.png", "-o", "out/", "--dask", address]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"npbsrn: {words}")
    assert said.count("\n") == 1
    assert not (place / "out").exists()


def test_streams_are_refused(place, capsys):
    assert main(["upscale", "-", "-o", "b.png", "--dask", "local"]) == 2
    assert capsys.readouterr().err.startswith('npbsrn: "-" is a stream of this machine; name files or folders')


def test_nobody_answers(place, extra):
    with socket.socket() as unheard:  # bound, and not listening
        unheard.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{unheard.getsockname()[1]}"
        code, said = npbsrn("upscale", "a.png", "-o", "out/", "--dask", address, cwd=place)
    assert code == 2
    assert said.startswith(f"npbsrn: there is no Dask scheduler at {address} (")
    assert said.endswith("; start one by `dask scheduler`, or give --dask local\n")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (None, "TLS needs certificates in Dask's configuration, which has none"),
        ("missing.pem", "the certificates of Dask's configuration cannot be read: "),
    ],
)
def test_certificates(place, extra, monkeypatch, capsys, file, words):
    import dask

    names = ("ca-file", "client.key", "client.cert")
    with dask.config.set({f"distributed.comm.tls.{name}": file for name in names}):
        assert main(["upscale", "a.png", "-o", "out/", "--dask", "tls://127.0.0.1:1"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"npbsrn: there is no Dask scheduler at tls://127.0.0.1:1 ({words}")
    assert said.count("\n") == 1


def test_a_worker_that_hangs(place, scheduler, monkeypatch, capsys):
    """It is there, and gives no answer."""
    monkeypatch.setattr(client, "ANSWER", 3)
    monkeypatch.setenv("NPBSRN_NUM_THREADS", "2")
    worker = start("worker", scheduler, "--nthreads", 1, "--no-nanny")
    try:
        assert main(["upscale", "a.png", "-o", "first/", "-m", "bicubic", "--dask", scheduler]) == 0
        worker.send_signal(signal.SIGSTOP)
        assert main(["upscale", "a.png", "-o", "out/", "-m", "bicubic", "--dask", scheduler]) == 2
    finally:
        worker.send_signal(signal.SIGCONT)
        end(worker)
    assert " have given no answer for 3 s; end those that hang, and try again\n" in capsys.readouterr().err
    assert not (place / "out").exists()


def test_something_else_answers(place, extra):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"

        def answer():
            try:
                while True:
                    with other.accept()[0] as visitor:
                        visitor.sendall(b"HTTP/1.0 400 Bad request\r\n\r\n")
            except OSError:
                return

        thread = threading.Thread(target=answer)
        thread.start()
        code, said = npbsrn("upscale", "a.png", "-o", "out/", "--dask", address, cwd=place)
        other.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert code == 2
    assert said.startswith(f"npbsrn: there is no Dask scheduler at {address} (")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("__version__ = '0.0.9'", " has npbsrn 0.0.9, and this machine has npbsrn "),
        ("raise ImportError('no such package')", "lacks npbsrn (no such package); install npbsrn "),
    ],
)
def test_workers_with_another_version(version, words, place, scheduler):
    fake = place / "fake/npbsrn"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text(version)
    worker = start("worker", scheduler, "--nthreads", 1, "--no-nanny", "--name", "other", PYTHONPATH=str(fake.parent))
    try:
        code, said = npbsrn("upscale", "a.png", "-o", "out/", "--dask", scheduler, cwd=place)
    finally:
        end(worker)
    assert code == 2
    assert said.startswith("npbsrn: the worker at tcp://")
    assert words in said
    assert said.count("\n") == 1
    assert not (place / "out").exists()


def test_local_workers_are_not_profiled(extra):
    """Dask would look at their tasks a hundred times a second."""
    script = (
        "from npbsrn.cluster.client import LOCAL, Cluster\n"
        "with Cluster(LOCAL, 1) as cluster:\n"
        "    asked = cluster._client.run(lambda dask_worker: sorted(dask_worker.periodic_callbacks))\n"
        "    print(*asked.values())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert "tick" in done.stdout
    assert "profile" not in done.stdout


@pytest.mark.filterwarnings("default:.*its pictures go to others")
def test_what_was_moved_to_workers_that_are_gone_is_moved_again(place, scheduler, monkeypatch, capsys):
    """One that refuses it is still there: Dask itself would wait for the others for ever."""
    (place / "refuses.py").write_text("import npbsrn.cluster.worker as worker\nworker.__version__ = '0.0.9'\n")
    begun = [start("worker", scheduler, "--nthreads", 1, "--no-nanny", "--preload", place / "refuses.py")]
    fitting, refusing = client.Cluster._fitting, []

    def gone_at_first(cluster):
        there = fitting(cluster)
        if not refusing:
            refusing.extend(there)
            begun.append(start("worker", scheduler, "--nthreads", 1, "--no-nanny"))
            return ["tcp://127.0.0.1:1"]
        return [where for where in there if where not in refusing]

    monkeypatch.setattr(client.Cluster, "_fitting", gone_at_first)
    monkeypatch.setattr("npbsrn.cluster.look.ASK", 0.2)
    words = ["upscale", "-i", ".", "-o", "out", "-m", "bicubic", "--dask", scheduler, "--quiet"]
    try:
        assert main(words) == 0
    finally:
        end(*begun)
    assert capsys.readouterr().err.count("its pictures go to others") == 1
    assert (place / "out/a.png").exists()
