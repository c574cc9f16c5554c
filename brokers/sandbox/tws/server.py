"""The port of one account's TWS: it lets clients in, breaks with all of them, refuses them for a while."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from brokers.sandbox.tws.gateway import Gateway
from brokers.sandbox.tws.session import Session
from brokers.sandbox.tws.trading import Trading

log = logging.getLogger("sandbox.tws")


class TwsServer:
    """One listening port. It keeps its number while it is closed for a reset."""

    def __init__(self, gateway: Gateway, host: str, port: int):
        self.gateway, self.trading = gateway, Trading(gateway)
        self.host, self.port = host, port
        self.sessions: set[Session] = set()
        self._server: asyncio.Server | None = None
        self._reopening: asyncio.Task | None = None

    async def open(self) -> None:
        """Listen; nothing if it does already. Raises OSError."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, self.host, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Refuse new connections and break those there are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for session in list(self.sessions):
            session.close()
        await asyncio.sleep(0)

    async def reset(self, seconds: float) -> None:
        """Be gone for a while, as TWS is once a day."""
        await self.close()
        self._reopening = asyncio.create_task(self._open_after(seconds))

    async def stop(self) -> None:
        """End for good."""
        if self._reopening is not None:
            self._reopening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reopening
        await self.close()

    async def _open_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.open()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(self.gateway, self.trading, reader, writer)
        self.sessions.add(session)
        try:
            await session.run()
        finally:
            self.sessions.discard(session)
