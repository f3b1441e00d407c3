"""The parser that pymesos reads Mesos with, against bytes as Mesos sends them."""

import subprocess
import sys
from importlib import metadata

import pytest
from http_parser.http import HttpParser
from http_parser.pyparser import INVALID_CHUNK

HEAD = (
    b"HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 01:59:05 GMT\r\nTransfer-Encoding: chunked\r\n"
    b"Mesos-Stream-Id: 7c4e8da2-95ce-4bfe-aede-91b932a9cd6b\r\nContent-Type: application/json\r\n\r\n"
)
RECORDS = [b'20\n{"type":"HEARTBEAT"}', b'17\n{"type":"OFFERS"}', b"3\n\x00\xff\n"]


def chunked(*records: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(record), record) for record in records)


def test_metadata_satisfies_pymesos() -> None:
    assert metadata.version("http-parser") == "0.9.0.post1"
    assert metadata.version("pymesos") == "0.3.15"
    # pymesos sets a signal handler when imported, so it is imported in a process of its own
    subprocess.run([sys.executable, "-c", "import pymesos"], check=True)


@pytest.mark.parametrize("at", range(len(HEAD) + len(chunked(*RECORDS)) + 1))
def test_chunked_stream_split_anywhere(at: int) -> None:
    stream = HEAD + chunked(*RECORDS)
    parser, body = HttpParser(), b""
    for part in (stream[:at], stream[at:]):
        assert parser.execute(part, len(part)) == len(part)
        if parser.is_partial_body():
            body += parser.recv_body()
        assert not parser.is_partial_body()
    assert body == b"".join(RECORDS)
    assert parser.is_headers_complete()
    assert parser.is_chunked()
    assert parser.get_status_code() == 200
    assert parser.get_headers()["Mesos-Stream-Id"] == "7c4e8da2-95ce-4bfe-aede-91b932a9cd6b"
    assert not parser.is_message_complete()
    assert parser.execute(b"0\r\n\r\n", 5) == 5
    assert parser.is_message_complete()


def test_byte_by_byte() -> None:
    parser, body = HttpParser(), b""
    for value in HEAD + chunked(*RECORDS) + b"0\r\n\r\n":
        assert parser.execute(bytes([value]), 1) == 1
        body += parser.recv_body()
    assert body == b"".join(RECORDS)
    assert parser.is_message_complete()


def test_only_the_given_length_is_taken() -> None:
    parser = HttpParser()
    assert parser.execute(HEAD + b"garbage", len(HEAD)) == len(HEAD)
    assert parser.is_headers_complete()
    assert parser.get_errno() == 0


def test_accepted_without_body_and_keep_alive() -> None:
    parser = HttpParser()
    answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
    for _ in range(3):
        assert parser.execute(answer, len(answer)) == len(answer)
        assert parser.get_status_code() == 202
        assert parser.is_message_complete()
        assert parser.recv_body() == b""
        assert not parser.is_chunked()
    error = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nwrong"
    parser.execute(error, len(error))
    assert (parser.get_status_code(), parser.recv_body(), parser.is_message_complete()) == (400, b"wrong", True)
    assert parser.get_headers() == {"Content-Type": "text/plain", "Content-Length": "5"}


def test_content_length_body_in_pieces() -> None:
    parser = HttpParser()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
    parser.execute(head, len(head))
    parser.execute(b"01234", 5)
    assert (parser.is_message_complete(), parser.recv_body()) == (False, b"01234")
    parser.execute(b"56789", 5)
    assert (parser.is_message_complete(), parser.recv_body()) == (True, b"56789")


def test_body_that_ends_with_the_connection() -> None:
    parser = HttpParser()
    answer = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\nnot yet"
    parser.execute(answer, len(answer))
    assert not parser.is_message_complete()
    parser.execute(b"", 0)
    assert (parser.is_message_complete(), parser.recv_body(), parser.get_status_code()) == (True, b"not yet", 503)


def test_repeated_header() -> None:
    parser = HttpParser()
    answer = b"HTTP/1.1 401 Unauthorized\r\nVia: a\r\nVia: b\r\nContent-Length: 0\r\n\r\n"
    parser.execute(answer, len(answer))
    assert parser.get_headers()["Via"] == "a, b"


@pytest.mark.parametrize(
    "data",
    [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 2x0 OK\r\n\r\n", HEAD + b"zz\r\n", b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n"],
)
def test_not_http(data: bytes) -> None:
    parser = HttpParser()
    assert parser.execute(data, len(data)) != len(data)
    assert parser.get_errno() != 0
    assert parser.execute(HEAD, len(HEAD)) == 0, "a broken connection stays broken"


def test_pymesos_takes_the_compiled_branch() -> None:
    """pymesos swallows errors of a parser that has `errno`."""
    assert not hasattr(HttpParser(), "errno")
    assert INVALID_CHUNK == 2
