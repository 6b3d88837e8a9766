"""fakeredis' TCP server as a process: `python -m bridge.cli.embedded_fakeredis PORT`."""

from __future__ import annotations

import sys
from typing import Any

from redis.exceptions import ResponseError

from bridge.cli.embedded_redis import HOST


def main(port: int) -> None:
    """Serve an imitation of Redis on the loopback until the process is ended.

    Args:
        port: a free port.
    """
    from fakeredis import TcpFakeServer

    server = TcpFakeServer((HOST, port), server_version=(7, 2))
    server.RequestHandlerClass = _patient(server.RequestHandlerClass)
    server.serve_forever()


def _patient(handler: Any) -> Any:
    """Return a handler that keeps its connection after an error reply, as Redis does.

    fakeredis hangs up, so the first use of a script, whose reply is that it isn't known yet, would
    look like a server that is down.
    """

    class Handler(handler):  # type: ignore[misc]
        def setup(self) -> None:
            super().setup()
            read = self.current_client.read_response

            def read_response() -> Any:
                try:
                    return read()
                except ResponseError as error:
                    return error

            self.current_client.read_response = read_response

    return Handler


if __name__ == "__main__":
    main(int(sys.argv[1]))
