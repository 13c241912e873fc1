"""An index directory to a running service in a child process, and JSON calls to its answers."""

import json
import subprocess
import sys
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from indexer.errors import IndexerError

_READY_S = 120


class ServiceError(IndexerError, RuntimeError):
    """The service did not start, or did not answer as it should."""


class Service:
    """`zhiyin serve` in a child process, on a free port; entering waits until it is ready."""

    def __init__(self, root: Path, url: str, *, workers: int = 1) -> None:
        command = ["-m", "service.commands", "serve", "--index", str(root), "--db", url]
        self._process = subprocess.Popen(
            [sys.executable, *command, "--port", "0", "--workers", str(workers)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = 0
        self._callers: list[Caller] = []

    def __enter__(self) -> Self:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if " on " not in line:
            raise ServiceError("the service did not start; see above")
        self.port = int(line.split(" on ")[1].split()[0].rpartition(":")[2])
        deadline = time.monotonic() + _READY_S
        while not self._is_ready():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise ServiceError(f"the service was not ready after {_READY_S} s")
            time.sleep(0.1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for caller in self._callers:
            caller.close()
        self._process.terminate()
        self._process.wait(30)
        if self._process.stdout:
            self._process.stdout.close()

    @property
    def pid(self) -> int:
        """The process id of the service, or of the parent of its workers."""
        return self._process.pid

    def connect(self) -> "Caller":
        """Return a new connection, closed with the service; each thread needs one of its own."""
        self._callers.append(Caller(self.port))
        return self._callers[-1]

    def _is_ready(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        with closing(connection):
            try:
                connection.request("GET", "/health/ready")
                return connection.getresponse().status == 200
            except OSError:
                return False


class Caller:
    """One HTTP connection to a service; not thread-safe."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=120)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def post(self, path: str, body: Any) -> dict[str, Any]:
        """Return the answer to a JSON body.

        Raises:
            ServiceError: If its status is not 200.
        """
        content = json.dumps(body)
        self._connection.request("POST", path, content, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        if response.status != 200:
            raise ServiceError(f"{path} answered {response.status}: {answer.get('detail')}")
        return answer
