"""A server that is told to stop to its end, without a lost answer or a reset connection."""

import asyncio
import socket
import time
from types import FrameType

from typing_extensions import override
from uvicorn import Server

from service import process
from service.edge import Connection

DRAIN_S = 1  # that idle connections are kept for a next request, which is told to be the last
_POLL_S = 0.02


class DrainingServer(Server):
    """uvicorn's server, which closes connections only after it has said so.

    Told to stop, it accepts no more connections, and every answer says `Connection: close`. Idle
    connections are closed after `DRAIN_S`, those with a request under way once it is answered.
    """

    @override
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        process.stopping.set()
        super().handle_exit(sig, frame)

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.sleep(0)  # connections that wait to be accepted would be reset
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        deadline = time.monotonic() + DRAIN_S
        while self.server_state.connections and time.monotonic() < deadline:
            for connection in self.server_state.connections:
                if isinstance(connection, Connection):
                    connection.start_draining()
            await asyncio.sleep(_POLL_S)
        await super().shutdown(sockets)
