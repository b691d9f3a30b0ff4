"""The server of the live page: what it answers, and to whom."""

from __future__ import annotations

import http.client
import json
import socket
import struct
from contextlib import closing

import pytest

from qdlaws import BadData
from qdlaws.integrations.live_page import LivePage
from qdlaws.integrations.live_server import LiveServer
from qdlaws.integrations.watch import Update


def get(server, path, host=None):
    """Status, type and text of an answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as line:
        line.putrequest("GET", path, skip_host=host is not None)
        if host is not None:
            line.putheader("Host", host)
        line.endheaders()
        answer = line.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode()


@pytest.fixture
def server():
    with LiveServer(LivePage()) as running:
        yield running


def test_page_version_and_updates_are_those_of_the_moment(server):
    page = server._server.RequestHandlerClass.page
    assert get(server, "/version") == (200, "text/plain; charset=utf-8", "0")
    assert "The logs are being read" in get(server, "/")[2]
    page.show([Update("runs/a<b", None, 0, None, "no such file")])
    assert get(server, "/version")[2] == "1"
    status, kind, text = get(server, "/?again")
    assert (status, kind) == (200, "text/html; charset=utf-8")
    assert "<b>runs/a&lt;b</b>: " in text
    (update,) = json.loads(get(server, "/updates.json")[2])
    assert update["reason"] == "no such file"
    assert get(server, "/../etc/passwd")[0] == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "", "127.0.0.1:1"])
def test_a_request_by_another_name_is_refused(server, host):
    status, _, text = get(server, "/", host)
    assert (status, text) == (403, "this address is served to this machine only\n")


def test_it_listens_on_loopback_unless_told_otherwise(server):
    assert server.url == f"http://127.0.0.1:{server.port}/"
    assert server._server.server_address[0] == "127.0.0.1"
    with LiveServer(LivePage(), 0, "0.0.0.0") as open_server:
        assert get(open_server, "/version", "machine.example")[0] == 200


@pytest.mark.parametrize("port", [-1, 70_000])
def test_a_port_that_cannot_be_had_is_one_line(port):
    with pytest.raises(BadData, match=r"cannot serve on 127\.0\.0\.1"):
        LiveServer(LivePage(), port)


def test_a_port_in_use_is_one_line(server):
    with pytest.raises(BadData, match=f"port {server.port}"):
        LiveServer(LivePage(), server.port)


def test_a_silent_visitor_keeps_nobody_waiting(server):
    with socket.create_connection(("127.0.0.1", server.port)):
        assert get(server, "/version")[0] == 200


def test_a_visitor_who_leaves_before_the_answer_prints_nothing(server, capfd):
    """A traceback stood in the terminal for each page that was closed while it loaded."""
    page = server._server.RequestHandlerClass.page
    page.html = "x" * 20_000_000
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=10)) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.sendall(f"GET / HTTP/1.0\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        line.recv(10)
    page.html = "gone"
    assert get(server, "/")[2] == "gone"
    assert capfd.readouterr().err == ""
