from __future__ import annotations

import socket
from pathlib import Path

from scale_server import ports


def listen() -> socket.socket:
    server = socket.socket()
    server.bind((ports.HOST, 0))
    server.listen()
    return server


def test_a_port_is_kept_while_it_is_free(tmp_path: Path) -> None:
    first = ports.remembered(tmp_path, ["a", "b"])
    assert first["a"] != first["b"]
    assert ports.remembered(tmp_path, ["b", "a"]) == first
    assert ports.recall(tmp_path, "a") == first["a"]


def test_a_port_that_was_taken_meanwhile_is_replaced(tmp_path: Path) -> None:
    with listen() as server:
        taken = server.getsockname()[1]
        (tmp_path / "ports.json").write_text(f'{{"a": {taken}, "other": 1234}}')
        assert not ports.is_free(taken)
        chosen = ports.remembered(tmp_path, ["a"])["a"]
        assert chosen != taken
        assert ports.is_free(chosen)
    assert ports.recall(tmp_path, "a") == chosen
    assert ports.recall(tmp_path, "other") == 1234


def test_two_names_never_share_a_port(tmp_path: Path) -> None:
    port = ports.free_port()
    (tmp_path / "ports.json").write_text(f'{{"a": {port}, "b": {port}}}')
    chosen = ports.remembered(tmp_path, ["a", "b"])
    assert len(set(chosen.values())) == 2


def test_a_spoilt_file_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text("{")
    assert ports.recall(tmp_path, "a") == 0
    assert ports.remembered(tmp_path, ["a"])["a"] > 0
