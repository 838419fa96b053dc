"""Folders that are URLs."""

import subprocess
import sys

import pytest
from PIL import Image

from npbsrn.cli.batch import Wish
from npbsrn.cli.parser import main
from npbsrn.cli.stores import plan_stores
from npbsrn.errors import DataError, PictureError, UsageError
from npbsrn.storage import remote
from npbsrn.storage.remote import Url, place_of
from tests.cluster.conftest import ENVIRONMENT, PATIENCE, files_of, npbsrn

WITHOUT = "with URLs, name one folder of pictures, and by -o another one for the results"


@pytest.fixture
def store():
    """An empty store in this process."""
    fsspec = pytest.importorskip("fsspec", reason="fsspec is missing: pip install '.[remote]'")
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    yield memory
    memory.store.clear()


def test_what_is_a_url():
    assert place_of("s3://bucket/folder/") == Url("s3://bucket/folder")
    assert place_of("zip::s3://bucket/a.zip") == Url("zip::s3://bucket/a.zip")
    for path in ("folder", "C:\\folder", "C://folder", "a:b", "./s3:/x"):
        assert not isinstance(place_of(path), Url), path
    assert (Url("s3://a/b.c.png").stem, Url("s3://a/b.c.png").suffix) == ("b.c", ".png")


def test_a_plan(store):
    for name in ("a.png", "a.bmp", "below/b.jpg", "below/.c.jpg", ".d/e.png", "notes.txt", "f.svg"):
        store.pipe_file(f"/in/{name}", b"x")
    store.pipe_file("/out/below/b.jpg", b"x")
    batch = plan_stores(["memory://in/"], "memory://out", Wish([], form=".jpg"))
    assert batch.jobs == [(Url("memory://in/a.bmp"), Url("memory://out/a.jpg"))]
    assert batch.existing == [Url("memory://out/below/b.jpg")]
    assert batch.others == [Url("memory://in/f.svg")]
    assert batch.clashes == [
        "memory://in/a.png would be written to memory://out/a.jpg, as memory://in/a.bmp is; move it to another folder"
    ]
    assert len(plan_stores(["memory://in"], "memory://out", Wish([], overwrite=True)).jobs) == 3
    assert len(plan_stores(["memory://in"], "memory://other", Wish([], flat=True, suffix="-big")).jobs) == 2


def test_places_that_will_not_do(store, tmp_path):
    store.pipe_file("/in/a.png", b"x")
    for inputs, output in ((["memory://in"], None), (["memory://in", "b"], "out")):
        with pytest.raises(UsageError, match=WITHOUT):
            plan_stores(inputs, output, Wish([]))
    for output in ("memory://in", "memory://in/out/", "memory:///in/b/../out"):
        with pytest.raises(UsageError, match="-o must not be memory://in or lie in it"):
            plan_stores(["memory://in"], output, Wish([]))
    for source, output in ((tmp_path, f"file://{tmp_path}/x"), (f"file://{tmp_path}/y/..", tmp_path / "out")):
        with pytest.raises(UsageError, match=r"-o must not be .* or lie in it"):
            plan_stores([str(source)], str(output), Wish([]))
    with pytest.raises(DataError, match="there is no picture in memory://nowhere"):
        plan_stores(["memory://nowhere"], str(tmp_path), Wish([]))
    with pytest.raises(DataError, match=r"memory://in/a.png is a file; with URLs, name the folder that it is in"):
        plan_stores(["memory://in/a.png"], str(tmp_path), Wish([]))
    with pytest.raises(PictureError, match=r"ftp://127.0.0.1:1/in cannot be reached .*; check its address and rights"):
        plan_stores(["ftp://127.0.0.1:1/in"], str(tmp_path), Wish([]))
    with pytest.raises(UsageError, match=r"zz9://a is no URL that fsspec knows"):
        plan_stores(["zz9://a"], str(tmp_path), Wish([]))


def test_the_extra_is_named_where_it_is_missing(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(UsageError, match=r"for which one more package is needed: pip install 'npbsrn\[remote"):
        plan_stores(["s3://bucket/in"], "out", Wish([]))


def test_urls_are_for_workers(place, capsys):
    assert main(["upscale", "-i", "memory://in", "-o", "out"]) == 2
    assert "; add --dask local, or a scheduler's address" in capsys.readouterr().err


def test_a_file_is_put_as_a_whole(tmp_path, store, monkeypatch):
    """Into a store that does not do so by itself, by another name first."""
    (tmp_path / "a").write_bytes(b"content")
    target = Url(f"file://{tmp_path}/below/b")
    remote.put(tmp_path / "a", target)
    assert files_of(tmp_path / "below") == {"b": b"content"}

    def fail(self, *names, **options):
        raise OSError("the network is down")

    monkeypatch.setattr("fsspec.implementations.local.LocalFileSystem.mv", fail)
    with pytest.raises(remote.StoreError, match=r"below/c cannot be written .*the network is down"):
        remote.put(tmp_path / "a", Url(f"file://{tmp_path}/below/c"))
    assert files_of(tmp_path / "below").keys() == {"b"}
    with pytest.raises(remote.StoreError, match="below/b cannot be written"):
        remote.put(tmp_path / "a", target)
    assert list(files_of(tmp_path / "below").values()) == [b"content"]  # by another name, but not lost


def test_between_two_urls_and_back(place, store, tmp_path):
    """The workers are threads of one process, as that has the store."""
    pytest.importorskip("distributed", reason="Dask is missing: pip install '.[dask]'")
    assert npbsrn("upscale", "-i", "a.png", "-o", "plain/", "-m", "bicubic", cwd=place)[0] == 0
    done = subprocess.run(
        [sys.executable, "-c", BOTH], cwd=place, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["1", "['/out/a.png', '/out/below/a.png']", "0", "[]"]
    assert done.stderr.splitlines()[0].startswith("npbsrn: memory://in/cut.png is damaged")
    for name in ("back/a.png", "back/below/a.png"):
        with Image.open(place / name) as twice:
            assert twice.size == (8 * 8, 4 * 8)
    assert files_of(place / "plain")["a.png"] == (place / "once.png").read_bytes()


BOTH = """
import fsspec
from distributed import LocalCluster
from npbsrn.cli.parser import main
store = fsspec.filesystem("memory")
content = open("a.png", "rb").read()
for name, data in (("a.png", content), ("below/a.png", content), ("cut.png", content[:50])):
    store.pipe_file("/in/" + name, data)
options = dict(n_workers=1, threads_per_worker=2, processes=False, protocol="tcp", dashboard_address=":0")
with LocalCluster(**options) as cluster:
    over = ["-m", "bicubic", "--quiet", "--dask", cluster.scheduler_address]
    print(main(["upscale", "-i", "memory://in", "-o", "memory://out", *over]))
    print(sorted(store.find("/out")))
    open("once.png", "wb").write(store.cat_file("/out/a.png"))
    print(main(["upscale", "-i", "memory://out", "-o", "back", "-s", "2", *over]))
    print([name for name in store.find("/") if "tmp" in name])
"""


@pytest.fixture
def bucket(monkeypatch):
    """The URL of a bucket of a server that behaves like S3."""
    s3fs = pytest.importorskip("s3fs", reason="s3fs is missing: pip install s3fs 'moto[server,s3]'")
    moto = pytest.importorskip("moto.server", reason="moto is missing: pip install s3fs 'moto[server,s3]'")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {"ENDPOINT_URL": f"http://{host}:{port}", "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}
    for name, value in settings.items():
        monkeypatch.setenv(f"AWS_{name}", value)
        monkeypatch.setitem(ENVIRONMENT, f"AWS_{name}", value)
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("bucket")
    yield "s3://bucket"
    server.stop()


def test_s3(place, bucket):
    pytest.importorskip("distributed", reason="Dask is missing: pip install '.[dask]'")
    remote.put(place / "a.png", Url(f"{bucket}/in/below/a.png"))
    over = "upscale", "-i", f"{bucket}/in", "-m", "bicubic", "--dask", "local"
    assert npbsrn(*over, "-o", f"{bucket}/out", cwd=place) == (0, f"{bucket}/out: 1 picture enlarged\n")
    assert npbsrn(*over, "-o", "out", cwd=place) == (0, "out: 1 picture enlarged\n")
    assert npbsrn("upscale", "a.png", "-o", "plain/", "-m", "bicubic", cwd=place)[0] == 0
    remote.fetch(Url(f"{bucket}/out/below/a.png"), place / "back.png")
    assert (place / "back.png").read_bytes() == files_of(place / "plain")["a.png"]
    assert files_of(place / "out")["below/a.png"] == files_of(place / "plain")["a.png"]
    code, said = npbsrn(*over, "-o", "s3://nowhere/out", cwd=place)
    assert (code, said.count("\n"), "The specified bucket does not exist" in said) == (2, 1, True)
