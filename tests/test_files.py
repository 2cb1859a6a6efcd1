"""Files are read within bounds, whatever lies at their place, and written so that nothing else is touched."""

import errno
import hashlib
import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from harness.files import digest_of, put, read_regular, replace_file, require_folder, temporary, write_new


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


def test_a_digest_is_that_of_the_whole_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc" * 1000)
    assert digest_of(tmp_path / "file") == hashlib.sha256(b"abc" * 1000).hexdigest()
    assert digest_of(tmp_path / "file", "md5") == hashlib.md5(b"abc" * 1000).hexdigest()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="is a named pipe"):
        digest_of(tmp_path / "pipe")


def test_links_at_the_names_of_temporary_files_are_not_followed(tmp_path: Path) -> None:
    """The names that the version before gave to them are those that anybody could guess."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    folder = tmp_path / "shared"
    folder.mkdir()
    for name in (f".report.html.{os.getpid()}.tmp", f".{os.getpid()}.tmp"):
        (folder / name).symlink_to(victim)
    put(folder / "report.html", b"a report")
    replace_file(folder / "report.html", "another")
    require_folder(folder)
    assert victim.read_bytes() == b"precious"
    assert (folder / "report.html").read_bytes() == b"another"


def test_a_file_that_is_there_is_never_written_into(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "link").symlink_to(victim)
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    for name in ("victim", "link", "dangling"):
        with pytest.raises(FileExistsError):
            write_new(tmp_path / name, b"mine")
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "none").exists()


def test_temporary_names_cannot_be_guessed_or_met_twice(tmp_path: Path) -> None:
    names = {temporary(tmp_path / "a").name for _ in range(100)}
    assert len(names) == 100
    assert all(re.fullmatch(r"\.a\.[0-9a-f]{32}\.tmp", name) for name in names)


def test_a_link_is_replaced_and_what_it_leads_to_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "report").symlink_to(tmp_path / "victim")
    put(tmp_path / "report", b"a report")
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert not (tmp_path / "report").is_symlink()


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_file_is_on_disk_before_it_has_its_name(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def watched(name: str, real: Any) -> Any:
        def told(*arguments: Any) -> Any:
            calls.append(name)
            if name == call:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments)

        return told

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, watched(name, getattr(os, name)))
    (tmp_path / "report").write_bytes(b"before")
    with pytest.raises(OSError, match="No space left on device"):
        put(tmp_path / "report", b"after")
    assert calls == ["fsync", "replace"][: 1 + (call == "replace")]
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    assert (tmp_path / "report").read_bytes() == b"before"
