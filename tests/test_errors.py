"""What helps when a place cannot be written."""

import errno
import os
from pathlib import Path

import pytest

from harness.errors import write_remedy


def refused(number: int, path: Path | None = None) -> OSError:
    return OSError(number, os.strerror(number), None if path is None else str(path))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_a_folder_of_another_user_is_named_with_both_users(number: int, tmp_path: Path) -> None:
    """The folder that refused, not the one that was asked for, nor a file not yet there."""
    (tmp_path / "store" / "jobs").mkdir(parents=True)
    said = write_remedy(tmp_path / "store", refused(number, tmp_path / "store" / "jobs" / "0a" / "new"))
    owner, me = tmp_path.stat().st_uid, os.geteuid()
    assert said.startswith(f"{tmp_path / 'store' / 'jobs'} belongs to user {owner} and this runs as user {me}; ")
    assert f"give user {me} the right to write there" in said


def test_a_missing_mount_is_told_with_the_option_that_mounts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = write_remedy(Path(".harness"), refused(errno.EROFS))
    assert said.startswith(f"{tmp_path} can only be read here; ")
    assert f"--mount type=bind,source=FOLDER,target={tmp_path / '.harness'}" in said


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_wants_room(number: int, tmp_path: Path) -> None:
    assert write_remedy(tmp_path, refused(number)) == "make room there, or "


def test_nothing_is_made_up_about_other_errors(tmp_path: Path) -> None:
    assert write_remedy(tmp_path, refused(errno.EIO)) == ""
