"""A static server on this machine alone, for looking at an exported page."""

import errno
import functools
import http
import os
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tfvae.errors import ArtifactError

HOST = "127.0.0.1"


class Server(ThreadingHTTPServer):
    """Serves the files of a folder on 127.0.0.1, as soon as `serve_forever` is called.

    The port is taken at construction, so that one that is in use is known before the page is made.

    Args:
        directory: The folder; it need not exist yet.
        port: 0 takes any that is free.

    Attributes:
        url: Where the page is.

    Raises:
        ArtifactError: If the port is in use, or may not be used.

    Example:
    >>> with Server("pages/digits", port=0) as server:
    ...     server.serve_forever()
    """

    daemon_threads = True

    def __init__(self, directory: Any, port: int = 8000):
        handler = functools.partial(_Handler, directory=os.fspath(directory))
        try:
            super().__init__((HOST, port), handler)
        except OSError as error:
            state = "in use" if error.errno == errno.EADDRINUSE else error.strerror
            raise ArtifactError(
                f"`port` must be free on {HOST}. Received: port={port}, which is {state}. "
                "Fix: give another, or 0 for any."
            ) from error
        self.url = f"http://{HOST}:{self.server_port}/"


class _Handler(SimpleHTTPRequestHandler):
    # What the system's tables say of these differs; a wrong type of a module or of WebAssembly is
    # refused by browsers.
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".mjs": "text/javascript; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".json": "application/json",
        ".wasm": "application/wasm",
    }

    def list_directory(self, path: Any) -> None:
        self.send_error(http.HTTPStatus.NOT_FOUND, "There is no index.html")

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")  # another export may come to this port
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Is silent: errors show in the page."""
