"""A small web server for the live page, on this machine only unless told otherwise."""

from __future__ import annotations

import json
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any

from qdlaws.errors import BadData
from qdlaws.integrations.live_page import LivePage

__all__ = ["LOOPBACK", "LiveServer"]

LOOPBACK = "127.0.0.1"
SECONDS = 10.0
"""That a request may take to arrive."""


class LiveServer:
    """Serves the newest page: ``/``, its number ``/version`` and the updates ``/updates.json``.

    On a loopback address it answers only requests that name one as their host, so that no page of
    another site can read it through a name that leads here.
    """

    def __init__(self, page: LivePage, port: int = 0, host: str = LOOPBACK) -> None:
        handler = type("Handler", (_Handler,), {"page": page})
        try:
            self._server = ThreadingHTTPServer((host, port), handler)
        except (OSError, OverflowError) as error:
            raise BadData(f"cannot serve on {host}, port {port}: {error}") from None
        self._server.daemon_threads = True
        name, self.port = self._server.server_address[:2]
        handler.hosts = {f"{n}:{self.port}" for n in ("127.0.0.1", "localhost")}  # type: ignore[attr-defined]
        handler.anywhere = not str(name).startswith("127.")  # type: ignore[attr-defined]
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def url(self) -> str:
        """The address of the page."""
        host = self._server.server_address[0]
        shown = "localhost" if host in ("0.0.0.0", "::") else host
        return f"http://{shown!s}:{self.port}/"

    def __enter__(self) -> LiveServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers one request from the page as it stands."""

    page: LivePage
    hosts: frozenset[str] = frozenset()
    anywhere = False
    timeout = SECONDS

    def do_GET(self) -> None:
        if not self.anywhere and self.headers.get("Host") not in self.hosts:
            self._answer(403, "text/plain", "this address is served to this machine only\n")
            return
        path = self.path.split("?", 1)[0]
        if path == "/":
            self._answer(200, "text/html", self.page.html)
        elif path == "/version":
            self._answer(200, "text/plain", str(self.page.version))
        elif path == "/updates.json":
            updates = [update.to_dict() for update in self.page.updates.values()]
            self._answer(200, "application/json", json.dumps(updates, allow_nan=False))
        else:
            self._answer(404, "text/plain", "no such page\n")

    def _answer(self, status: int, kind: str, words: str) -> None:
        content = words.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        with suppress(ConnectionError):  # whoever asked has left the page
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the terminal shows the advice."""
