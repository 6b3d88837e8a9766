"""The goals of the issue in words, and why one is missed where it is."""

from __future__ import annotations

from typing import Final

#: Each goal of the issue, by its number.
GOALS: Final = {
    1: "one room, 200 clients, 25 messages a second: CPU and latency of a delivery",
    2: "a dashboard of 50 clients that watch 100 jobs at 10 Hz: CPU of a record",
    3: "messages that nobody watches",
    4: "the most deliveries a second",
    5: "joins a second, and the memory of who waits",
    6: "2,000 clients of a killed node come back",
    7: "clients that read nothing",
    8: "two nodes, and a hundred",
    9: "a step of `progress.track`",
    10: "a call of `update()`",
    11: "telling one state",
    12: "what importing and using it adds to a worker",
    13: "from `update()` to the page",
}

#: By the goal's number and a part of its row's text, first match: why it is missed, if it is, and
#: what it would take.
_REASONS: Final = (
    (1, "CPU a delivery", "Two thirds are the system calls that the floor makes, too. The rest is "
     "the way from Redis to them, cold after each pause of 40 ms; the largest part is "
     "eventlet's select on two sockets. It would take a subscriber that the hub calls itself."),
    (1, "latency", "The same way from Redis, and that the loop over 200 sockets ends later; a busy "
     "machine shows here first. It would take a subscriber that the hub calls itself."),
    (2, "", "At this rate the peer's core is full, and what it can't keep up with it does in one "
     "go, which is cheap and late (see its p50). It would take the loop over a room's clients in "
     "C."),
    (3, "to stock", "No message reaches the node; what is measured is the noise of its echo, sweep "
     "and timers, taken off as an idle second. It would take a longer run."),
    (3, "more, 10,000 jobs", "As above: the noise of an idle process."),
    (4, "", "The load generator shares a core with Redis, and may be what is full."),
    (5, "joins", "Ours check a token and the pace, subscribe, and read the journal, see CPU a "
     "join; where more CPU is not the reason, the machine was busy."),
    (5, "memory", "One green thread of the server and its stack remain a client. It would take "
     "reading in the hub, as Node does."),
    (7, "p99", "See the node's CPU with and without clients that read nothing. The load "
     "generator and Redis share a core, and are late when the machine is busy. It would take a "
     "machine of its own for the load."),
    (8, "", "Both nodes share a core here. It would take a machine with more."),
    (9, "CPU of a computing task", "One per cent of a task of two seconds is 20 ms, which a busy "
     "machine takes by itself. It would take a quiet one, or a longer task."),
    (9, "", "The step is counted in C. What is left is a few nanoseconds, from which those of the "
     "bare loop are taken off: a wide range says that the machine was busy."),
    (11, "CPU", "A stock emit encodes a dict that is ready. Here a record of 33 fields is made, "
     "compared and encoded by a thread that wakes up to cold caches, its receipt is noted, and it "
     "goes through SocketIO's emit on its way (a twentieth). It would take making it in C."),
    (12, "", "Each import is a process of its own, on whatever else the machine does."),
    (13, "", "The last station is the browser, which draws 60 times a second where it has a core "
     "to itself; here it shares two with everything."),
)  # fmt: skip


def reason(number: int, text: str) -> str:
    """Return why a row's goal is missed where it is; empty where nothing is known."""
    return next((why for goal, part, why in _REASONS if goal == number and part in text), "")
