"""Clients that ask and do not read, and more of them than there is room for."""

import json
import socket
import time

import pytest

from codegeex.server import serve


def connect(port, receive_buffer=None):
    client = socket.socket()
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(30)
    client.connect(("127.0.0.1", port))
    return client


def post(path, **fields):
    body = json.dumps(fields).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def keep_sending(client, data=b"G", pause=0.1):
    until = time.monotonic() + 30
    while time.monotonic() < until:
        time.sleep(pause)
        client.sendall(data)


QUESTION = post("/tokenize", content="a b " * 480_000)
"""Its answer, 5 MB, is larger than the buffers of both sides."""


def test_a_client_that_does_not_read_is_let_go(start, monkeypatch):
    monkeypatch.setattr(serve, "UNREAD_SECONDS", 0.5)
    server = start(most_body=20_000_000)
    with connect(server.port, receive_buffer=4096) as client:
        client.sendall(QUESTION)
        with pytest.raises(ConnectionError):
            keep_sending(client)
    assert server.get("/health").status_code == 200


def test_a_client_that_reads_slowly_is_not(start, monkeypatch):
    monkeypatch.setattr(serve, "UNREAD_SECONDS", 2)
    server = start(most_body=20_000_000)
    with connect(server.port, receive_buffer=16384) as client:
        client.sendall(QUESTION)
        read, began = bytearray(), time.monotonic()
        while not read.endswith(b"}"):
            part = client.recv(1_000_000)
            assert part
            read += part
            time.sleep(max(0, len(read) / 1_200_000 - (time.monotonic() - began)))
    assert time.monotonic() - began > 1.5 * serve.UNREAD_SECONDS
    assert len(json.loads(read.partition(b"\r\n\r\n")[2])["tokens"]) >= 960_000


def ends(client):
    """Whether the server ends the connection, whatever it said before."""
    try:
        while client.recv(100_000):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def test_a_request_before_the_answer_to_the_last_one(start):
    """Whoever has two on the way could leave unnoticed."""
    server = start()
    with connect(server.port) as client:
        client.sendall(post("/v1/completions", prompt="def f", max_tokens=400, n=8, temperature=2) + post("/health"))
        assert ends(client)
    assert server.get("/health").status_code == 200


def test_headers_behind_a_body(start):
    server = start()
    with connect(server.port) as client:
        client.sendall(b"POST /tokenize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
        with pytest.raises(ConnectionError):
            keep_sending(client, b"X-A: " + b"a" * 1000 + b"\r\n", pause=0.01)
    assert server.get("/health").status_code == 200


def test_more_connections_than_there_is_room_for(start, monkeypatch):
    monkeypatch.setattr(serve, "MOST_CONNECTIONS", 10)
    server = start()
    idle = [connect(server.port) for _ in range(20)]
    try:
        assert server.get("/health").status_code == 503
    finally:
        for client in idle:
            client.close()
    until = time.monotonic() + 10
    while server.get("/health").status_code != 200:
        assert time.monotonic() < until
        time.sleep(0.05)
