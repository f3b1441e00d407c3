"""What the doctor says of directories: it is asked by root, who may everything, about an account that may not."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scale_server import doctor

ACCOUNT = 7274


@pytest.fixture
def place() -> Iterator[Path]:
    """Where others get to, as pytest's own directories are not."""
    with tempfile.TemporaryDirectory() as made:
        path = Path(made)
        path.chmod(0o711)
        yield path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask for somebody else")
def test_root_asks_for_the_account_of_scale(place: Path) -> None:
    home, open_, closed = place / "home", place / "open", place / "closed"
    for path in (home, open_, closed):
        path.mkdir()
    for path in (home, open_):
        os.chown(path, ACCOUNT, ACCOUNT)
    mounts = f"nas:/open={open_};nas:/closed={closed};nas:/gone={place / 'gone'}"
    said = [
        (found.state, found.text.removeprefix(f"{place}/"), found.remedy)
        for found in doctor.examine({"SCALE_HOME": str(home), "SCALE_MOUNTS": mounts})
        if found.what == "permissions"
    ]
    assert said == [
        (doctor.OK, f"home can be written by user {ACCOUNT}", ""),
        (doctor.OK, f"open can be written by user {ACCOUNT}", ""),
        (
            doctor.WRONG,
            f"closed (nas:/closed) cannot be written by user {ACCOUNT}",
            f"let user {ACCOUNT} read and write it",
        ),
        (doctor.WRONG, "gone (nas:/gone) is not there", "mount it, or correct SCALE_MOUNTS"),
    ]
