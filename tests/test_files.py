"""Files are read within bounds, whatever lies at their place, and written so that nothing else is touched."""

import os
import socket
from pathlib import Path

import pytest

from harness.files import read_regular


def test_a_regular_file_is_read_through_links(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"x" * 100)
    (tmp_path / "link").symlink_to("kept")
    assert read_regular(tmp_path / "link", 100) == b"x" * 100
    with pytest.raises(ValueError, match="has more than the 99 bytes"):
        read_regular(tmp_path / "kept", 99)


def test_an_absent_file_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "absent", 1)


def test_nothing_but_a_regular_file_is_read_or_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="is a named pipe, not a regular file"):
        read_regular(tmp_path / "pipe", 10)
    with pytest.raises(ValueError, match="is a folder"):
        read_regular(tmp_path, 10)
    with pytest.raises(ValueError, match="is a device"):
        read_regular(Path("/dev/zero"), 10)
    monkeypatch.chdir(tmp_path)  # a socket's address has few letters
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        with pytest.raises(OSError, match="No such device or address"):
            read_regular(Path("socket"), 10)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)  # a hole: it takes no disk
    with pytest.raises(ValueError, match="has more than the 1,000 bytes"):
        read_regular(tmp_path / "huge", 1000)


def test_a_file_that_does_not_tell_its_size_is_bounded_all_the_same() -> None:
    with pytest.raises(ValueError, match="has more than the 3 bytes"):
        read_regular(Path("/proc/self/status"), 3)  # its size is told as 0
