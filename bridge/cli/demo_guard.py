"""The demo's last will: a small process that tidies up when the demo itself is killed.

It reads lines from its standard input: ``group ID`` (a process group was started), ``gone ID`` (it
has ended) and ``folder PATH`` (to be removed). When the input ends, because the demo closed it or
was killed, it ends the groups that are left and removes the folders.

It runs as a plain script without site-packages, so it costs little and imports nothing of ours.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable

GRACE_SECONDS = 3.0
POLL_SECONDS = 0.05


def main(lines: Iterable[str]) -> None:
    """Follow the demo until its input ends, then tidy up.

    Args:
        lines: what the demo tells.
    """
    groups: set[int] = set()
    folders: list[str] = []
    for line in lines:
        word, _, value = line.rstrip("\n").partition(" ")
        if word == "group":
            groups.add(int(value))
        elif word == "gone":
            groups.discard(int(value))
        elif word == "folder":
            folders.append(value)
    end_groups(groups)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def end_groups(groups: set[int]) -> None:
    """Ask process groups to end, and kill those that don't within three seconds.

    Args:
        groups: ids of process groups; those that don't exist are passed over.
    """
    left = {group for group in groups if send(group, signal.SIGTERM)}
    deadline = time.monotonic() + GRACE_SECONDS
    while left and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        left = {group for group in left if send(group, 0)}
    for group in left:
        send(group, signal.SIGKILL)


def send(group: int, number: int) -> bool:
    """Send a signal to a process group; 0 only asks whether it is there.

    Returns:
        Whether the group exists.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    main(sys.stdin)
