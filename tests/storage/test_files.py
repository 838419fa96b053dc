import errno
import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from npbsrn.errors import UsageError
from npbsrn.storage.files import atomic_write, lock


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as file:
        file.write(bytes([1 // 0]))
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_written_file_has_ordinary_permissions(tmp_path):
    before = os.umask(0o022)
    try:
        with atomic_write(tmp_path / "file") as file:
            file.write(b"new")
    finally:
        os.umask(before)
    assert (tmp_path / "file").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


@pytest.mark.skipif(os.name != "posix", reason="there are no such permissions")
@pytest.mark.parametrize("mode", [0o600, 0o664, 0o444])
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path, mode):
    (tmp_path / "file").write_text("old")
    (tmp_path / "file").chmod(mode)
    with atomic_write(tmp_path / "file") as file:
        file.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with atomic_write(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_lock_is_held_once_and_ends_with_its_block(tmp_path):
    path = tmp_path / "lock"
    with lock(path, "taken"):
        with pytest.raises(UsageError, match="taken"), lock(path, "taken"):
            pass
        with lock(tmp_path / "another", "taken"):
            pass
    with pytest.raises(ZeroDivisionError), lock(path, "taken"):
        _ = 1 // 0
    with lock(path, "taken"):
        assert path.read_bytes() == b""


def test_a_lock_ends_with_a_process_that_is_killed(tmp_path):
    code = "import sys; from npbsrn.storage.files import lock\n"
    code += "with lock(sys.argv[1], ''): print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline().strip() == b"held"
        with pytest.raises(UsageError, match="taken"), lock(tmp_path / "lock", "taken"):
            pass
        other.kill()
        other.wait()
        with lock(tmp_path / "lock", "taken"):
            pass


def test_a_file_system_without_locks_is_usable(tmp_path, monkeypatch):
    def refuse(handle):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("npbsrn.storage.files._take", refuse)
    with lock(tmp_path / "lock", "taken"):
        assert (tmp_path / "lock").exists()


def refuse_links(*_):
    raise OSError(errno.EPERM, "no hard links here")


@pytest.fixture(params=["links", "no links"])
def links(request, monkeypatch):
    if request.param == "no links":
        monkeypatch.setattr(os, "link", refuse_links)
    return request.param


def test_a_file_that_is_there_is_not_replaced_unasked(tmp_path, links):
    path = tmp_path / "file"
    with atomic_write(path, replace=False) as file:
        file.write(b"first")
    with pytest.raises(FileExistsError) as raised, atomic_write(path, replace=False) as file:
        file.write(b"second")
    assert (raised.value.filename, raised.value.strerror) == (str(path), os.strerror(errno.EEXIST))
    assert path.read_bytes() == b"first"
    assert path.stat().st_nlink == 1
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_that_comes_meanwhile_is_not_replaced_either(tmp_path, links):
    path = tmp_path / "file"
    with pytest.raises(FileExistsError), atomic_write(path, replace=False):
        path.write_bytes(b"another's")
    assert path.read_bytes() == b"another's"
    assert os.listdir(tmp_path) == ["file"]


def test_of_many_writers_at_once_one_wins(tmp_path):
    path, start = tmp_path / "file", threading.Barrier(8)

    def write(n):
        try:
            with atomic_write(path, replace=False) as file:
                file.write(bytes([n]) * 1000)
                start.wait()
        except FileExistsError:
            return None
        return bytes([n]) * 1000

    for _ in range(20):
        with ThreadPoolExecutor(8) as pool:
            won = [content for content in pool.map(write, range(8)) if content is not None]
        assert won == [path.read_bytes()]
        assert os.listdir(tmp_path) == ["file"]
        path.unlink()


def test_a_name_that_cannot_be_written_is_said_as_it_is(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(NotADirectoryError), atomic_write(tmp_path / "file/x"):
        pass
