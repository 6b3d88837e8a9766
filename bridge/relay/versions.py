"""Other versions on the same channel, whose workers and nodes this one may not understand.

Whoever uses the channel leaves its version in the journal; a node looks now and then, and tells.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from bridge.errors import QueueUnavailable
from bridge.version import VERSION

LOOK_SECONDS: Final = 10.0

_log = logging.getLogger(__name__)


class Versions:
    """Looks for other versions, in a thread of its own.

    Args:
        channel: the base channel, to name it.
        announce: leaves a version on the channel and returns those that were left lately.

    Attributes:
        others: those that are not this node's.
    """

    def __init__(self, channel: str, announce: Callable[[str], list[str]]) -> None:
        self._channel = channel
        self._announce = announce
        self._told: set[str] = set()
        self._stopped = threading.Event()
        self.others: tuple[str, ...] = ()

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._work, name="bridge_versions", daemon=True).start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()

    def look(self) -> None:
        """Look once; each other version is told once."""
        try:
            found = self._announce(VERSION)
        except QueueUnavailable:
            return
        self.others = tuple(sorted(set(found) - {VERSION}))
        for version in sorted(set(self.others) - self._told):
            self._told.add(version)
            _log.warning(
                "version %s uses the channel %s, too, and this node is %s: let all workers and "
                "nodes of a channel run the same version, or give them channels of their own",
                version, self._channel, VERSION,
            )  # fmt: skip

    def _work(self) -> None:
        while True:
            self.look()
            if self._stopped.wait(LOOK_SECONDS):
                return
