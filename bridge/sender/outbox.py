"""The outbox: between the task, which never waits, and the queue, which may be away.

Tasks put states and events into lanes; the courier, one daemon thread a process, brings them away.
It is started on first use, and anew after a fork. All of it is bounded.
"""

from __future__ import annotations

import threading
import time

from bridge.records import Publication
from bridge.sender.calls import Call
from bridge.sender.courier import Courier
from bridge.sender.lane import Lane, LiveSource, Source
from bridge.sender.lanes import Counters, Lanes
from bridge.sender.mirror import Mirror
from bridge.sender.progress import Progress
from bridge.sender.sink import Sink
from bridge.settings import Settings


class Outbox:
    """Takes states and events from tasks and sends them at their pace.

    No method that a task calls waits for the network, but for `wait_acknowledged` and `flush`,
    which are told how long.

    Args:
        settings: rates and bounds.
        sink: sends; it connects with its first message.
        mirror: writes into Celery's result backend, too; None: nothing does.
    """

    def __init__(self, settings: Settings, sink: Sink, mirror: Mirror | None = None) -> None:
        lock = threading.Lock()
        self._settings = settings
        self.mirror = mirror
        self.counters = Counters()
        self.lanes = Lanes(settings, lock, self.counters)
        self.courier = Courier(settings, sink, self.lanes, lock, self.counters)

    @property
    def down(self) -> bool:
        """Whether the queue is known to be away."""
        return self.courier.down

    def open(self, progress: Progress) -> Lane:
        """Take a run that begins; its states are sampled from here on until it has ended."""
        if self.mirror is not None and progress.pen is not None:
            self.mirror.open(progress.pen)
        lane = self.lanes.put(progress.run.run_id, progress.job, LiveSource(progress))
        self.courier.kick()
        return lane

    def put(self, job: str, source: Source) -> Lane:
        """Take one state of a job that doesn't run here."""
        lane = self.lanes.put(f"{type(source).__name__}:{job}", job, source)
        self.courier.kick()
        return lane

    def event(self, publication: Publication) -> None:
        """Take an event; with too many waiting the lane's oldest is dropped and counted."""
        self.lanes.event(publication)
        self.courier.kick()

    def call(self, action: Call) -> None:
        """Take something else to be sent, such as an event to a sid; in order among themselves."""
        self.counters.events_dropped += not self.courier.calls.put(action)
        self.courier.kick()

    def ended(self) -> None:
        """Tell that a run has ended, so that its last state goes at once."""
        self.courier.kick()

    def wait_acknowledged(self, lane: Lane, seconds: float) -> None:
        """Wait until the journal answered to the lane's first state.

        Not while it is away, nor where its answers take longer than that anyway.
        """
        end = time.monotonic() + seconds
        with self.courier.settled:
            while not (lane.acknowledged or lane.stale) and self.courier.answers_within(seconds):
                left = end - time.monotonic()
                if left <= 0:
                    return
                self.courier.settled.wait(left)

    def flush(self, seconds: float) -> bool:
        """Wait until all that was taken is sent.

        Returns:
            Whether nothing is left.
        """
        self.courier.tell_dropped(finally_=True)
        end = time.monotonic() + seconds
        self.courier.kick()
        with self.courier.settled:
            while self.courier.busy or self.lanes.unsent():
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self.courier.settled.wait(min(left, 0.05))
        return self.courier.settle(max(0.0, end - time.monotonic()))
