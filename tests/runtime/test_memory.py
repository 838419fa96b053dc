import pytest

from npbsrn.runtime import memory


@pytest.mark.parametrize(
    ("text", "size"),
    [("MemTotal: 9 kB\nMemAvailable:   2 kB\nSwapFree: 8 kB\n", 2048), ("MemTotal: 9 kB\n", None), (None, None)],
)
def test_available_memory_is_read_where_it_is_said(tmp_path, monkeypatch, text, size):
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    if text is not None:
        memory.MEMINFO.write_text(text)
    assert memory.available_bytes() == size
