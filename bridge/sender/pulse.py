"""The pulse: vouches for worker processes that can't speak for themselves just now.

`Pulse` is a thread in a prefork worker's parent and vouches for the children. `python -m
bridge.sender.pulse PID` does so for a worker of another pool, from outside, until that has ended.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict

from bridge.errors import QueueUnavailable
from bridge.journal import RedisJournal, connect
from bridge.sender.lease import RENEWALS, lease_of
from bridge.settings import Settings

_log = logging.getLogger("bridge.sender")


class Pulse:
    """Renews the leases of other processes as long as they live.

    Args:
        settings: the journal, and how long a lease lasts.
        pids: tells which processes to vouch for.
    """

    def __init__(self, settings: Settings, pids: Callable[[], Iterable[int]]) -> None:
        self._journal = RedisJournal(connect(settings.journal_url), settings)
        self._seconds = settings.lease
        self._pids = pids
        self._stopped = threading.Event()

    def start(self) -> None:
        """Vouch in a thread of this process."""
        threading.Thread(target=self.run, name="celery-bridge-pulse", daemon=True).start()

    def stop(self) -> None:
        """Stop vouching."""
        self._stopped.set()

    def run(self) -> None:
        """Vouch until stopped."""
        while not self._stopped.is_set():
            try:
                self.beat()
            except Exception:  # noqa: BLE001 - the next beat may do better
                _log.exception("a beat failed")
            self._stopped.wait(self._seconds / RENEWALS)

    def beat(self) -> None:
        """Vouch once for those that live."""
        living = [lease for pid in self._pids() if (lease := lease_of(pid))]
        if not living:
            return
        # While the queue is away there is nothing to keep; the sender thread logs that.
        with contextlib.suppress(QueueUnavailable):
            self._journal.renew(living, self._seconds)


class Voucher:
    """The small process that vouches for this one, from outside, until it has ended.

    If it dies, a thread starts another.

    Args:
        settings: as for `Pulse`.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopped = threading.Event()
        self.process = _start(settings, os.getpid())
        threading.Thread(target=self._look_after, name="celery-bridge-voucher", daemon=True).start()

    def stop(self) -> None:
        """End it."""
        self._stopped.set()
        self.process.terminate()

    def _look_after(self) -> None:
        # Asking now and then, because waiting for a process would block a green worker's loop.
        while not self._stopped.wait(self._settings.lease / RENEWALS):
            code = self.process.poll()
            if code is not None:
                _log.warning("the process that vouches for this one ended (%s): starting it", code)
                self.process = _start(self._settings, os.getpid())


def _start(settings: Settings, pid: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge.sender.pulse", str(pid)], stdin=subprocess.PIPE
    )
    assert process.stdin is not None
    given = {**asdict(settings), "secret_key": ()}  # it signs nothing
    process.stdin.write(json.dumps(given).encode() + b"\n")
    process.stdin.close()
    return process


def main() -> None:
    """Vouch for the process named on the command line; its settings come by standard input."""
    pid = int(sys.argv[1])
    given = json.loads(sys.stdin.readline())
    # The name tells this process from a later one with the same number.
    lease = lease_of(pid)
    settings = Settings.load(given, environ={})
    pulse = Pulse(settings, lambda: [pid])
    while lease_of(pid) == lease and os.getppid() == pid:
        pulse.beat()
        time.sleep(settings.lease / RENEWALS)


if __name__ == "__main__":
    main()
