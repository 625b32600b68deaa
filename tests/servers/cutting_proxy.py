"""A socket between a client and PostgreSQL that loses the connection just as the client commits.

    with CuttingProxy(folder, server_host, server_port) as proxy:
        ... a client connects to proxy.host ...
        proxy.cut_at_commit()
        ... it commits: its connection is gone, and the server has not been told to commit yet ...
        proxy.deliver()     # or proxy.drop()

The server's side stays open after the cut: whether the transaction happens is decided by the test, and seen by nobody
before.
"""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

PORT = 5432
LONGEST_WAIT_SECONDS = 20.0
# A simple query, its length, its text: what libpq sends for COMMIT.
COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
READY = b"Z\x00\x00\x00\x05I"


class CuttingProxy:
    """Passes everything on, both ways, until the one commit at which it cuts."""

    def __init__(self, folder: Path, server_host: str, server_port: int) -> None:
        self.host = str(folder)
        self._server = (server_host, server_port)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / f".s.PGSQL.{PORT}"))
        self._listener.listen()
        self._cuts = threading.Event()
        self._was_cut = threading.Event()
        self._held: socket.socket | None = None
        self._answers: SimpleQueue[bytes] = SimpleQueue()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._begin(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in (self._listener, *self._sockets):
            _close(each)
        for thread in self._threads:
            thread.join(LONGEST_WAIT_SECONDS)

    def cut_at_commit(self) -> None:
        """The next COMMIT is not passed on, and the connection it came over is closed towards the client."""
        self._was_cut.clear()
        self._cuts.set()

    def wait_for_cut(self) -> None:
        """Return once the connection is cut; raises TimeoutError."""
        if not self._was_cut.wait(LONGEST_WAIT_SECONDS):
            raise TimeoutError("nobody has committed through the proxy")

    def deliver(self) -> None:
        """Let the server have the COMMIT after all; returns once it has answered that it is done."""
        assert self._held is not None
        self._held.sendall(COMMIT)
        answer = b""
        while not answer.endswith(READY):
            data = self._answers.get(timeout=LONGEST_WAIT_SECONDS)
            if not data:
                raise ConnectionError(f"the server did not commit: {answer!r}")
            answer += data
        _close(self._held)

    def drop(self) -> None:
        """The server loses the connection too: it rolls back."""
        assert self._held is not None
        _close(self._held)

    def _begin(self, function: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=function, args=arguments, name="cutting proxy", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            host, port = self._server
            if host.startswith("/"):
                server = socket.socket(socket.AF_UNIX)
                server.connect(f"{host}/.s.PGSQL.{port}")
            else:
                server = socket.create_connection((host, port))
            self._sockets += [client, server]
            held = threading.Event()
            self._begin(self._pass_on, client, server, held, True)
            self._begin(self._pass_on, server, client, held, False)

    def _pass_on(self, source: socket.socket, target: socket.socket, held: threading.Event, watches: bool) -> None:
        # An OSError: the other side is gone, and so is this one.
        with suppress(OSError):
            while data := source.recv(65536):
                if watches and data.endswith(COMMIT) and self._cuts.is_set():
                    self._cuts.clear()
                    self._held = target
                    held.set()
                    _close(source)
                    self._was_cut.set()
                    return
                if held.is_set():
                    self._answers.put(data)
                else:
                    target.sendall(data)
        if held.is_set():
            self._answers.put(b"")
        _close(source)
        _close(target)


def _close(connection: socket.socket) -> None:
    # An OSError: it was closed already.
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
