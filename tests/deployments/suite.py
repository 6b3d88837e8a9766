"""The end-to-end suite that every row runs: late, live, replay, failure, cancel, reconnect."""

from __future__ import annotations

import socket
from collections.abc import Callable, Container
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, Final

import pytest

from tests.conftest import wait_until
from tests.deployments.conftest import Backstage, wait_for_step
from tests.nodes import Client
from tests.sse import Listener

STEPS, INTERVAL = 40, 0.025


class Place:
    """A node, and how jobs are started there.

    Args:
        backstage: what is behind the node.
        url: the node's.
        is_app: whether it serves an app that starts jobs.
        off: the names of the promises that its journal doesn't keep.
    """

    def __init__(
        self, backstage: Backstage, url: str, *, is_app: bool = False, off: Container[str] = ()
    ) -> None:
        self.url = url
        self.replays = "replay" not in off
        self._backstage = backstage
        self._app = url if is_app else None

    def start(self, task: str, **fields: Any) -> dict[str, str]:
        """Start one of our tasks; returns what a client needs to watch it."""
        return self._backstage.start(task, self._app, **fields)

    def client(self, transport: str = "websocket") -> closing[Client]:
        """A client, closed at the end of a block."""
        made = Client(self.url, transports=[transport])
        assert made.sio.transport() == transport
        return closing(made)


def states(client: Client) -> list[str]:
    """The states that it was told, in order."""
    return [data["state"] for name, data in list(client.received) if name == "progress"]


def _in_mid_job(check: Callable[[int], bool]) -> None:
    """Run a check that needs a job to go on for a while; on a busy machine with longer ones."""
    if not any(check(steps) for steps in (STEPS, 4 * STEPS, 16 * STEPS)):
        pytest.fail("each job had ended before it could be looked at")


def late_then_live(place: Place, transport: str = "websocket") -> None:
    """Who comes late gets the newest state, all events so far, and then what follows."""

    def joins(steps: int) -> bool:
        with place.client(transport) as client:
            return _joins_late(place, client, steps)

    _in_mid_job(joins)


def _joins_late(place: Place, client: Client, steps: int) -> bool:
    job = place.start("metronome", steps=steps, interval=INTERVAL)
    wait_for_step(place.url, job, steps // 4)
    ack = client.ask("watch", job)
    if ack["snapshot"]["current"] > steps * 3 // 4:
        return False
    wait_until(lambda: "SUCCESS" in states(client))

    assert ack["snapshot"]["current"] >= steps // 4
    replayed = [event["seq"] for event in ack["events"]]
    if place.replays:
        assert len(replayed) >= 2
        # What came while the ack was on its way may be in both: that is the client's rule.
        live = [seq for seq in client.seqs() if seq > replayed[-1]]
        assert replayed + live == list(range(1, 11)), "nothing is missing, all in order"
    else:
        assert (replayed, ack["gap"]) == ([], True), "what is not kept is told to be a gap"
        _check_rest(client.seqs())
    assert client.currents()[-1] == steps
    late = client.ask("watch", job)
    assert late["snapshot"]["state"] == "SUCCESS"
    assert [event["seq"] for event in late["events"]] == list(range(1, 11)) * place.replays
    return len(client.currents()) >= 2  # it moved


def _check_rest(received: list[int]) -> None:
    """All events came from some moment on, in order: where those from before are not kept."""
    assert received == list(range(11 - len(received), 11))


def failure_after_a_retry(place: Place) -> None:
    """Both runs and the error of a job that fails for good."""
    with place.client() as client:
        job = place.start("flaky", failures=1, countdown=0, outcome="failure")
        client.ask("watch", job)
        wait_until(lambda: "FAILURE" in states(client))
        last = [data for name, data in client.received if name == "progress"][-1]
        assert last["error"]["type"] == "Breakdown"
        assert [run["state"] for run in last["runs"]] == ["RETRY", "FAILURE"]


def cancel(place: Place) -> None:
    """A client cancels a running job."""
    with place.client() as client:
        job = place.start("metronome", steps=2000, interval=INTERVAL)
        client.ask("watch", job)
        wait_for_step(place.url, job, 1)
        assert client.ask("cancel", job) == {"ok": True}
        wait_until(lambda: "REVOKED" in states(client))


def reconnect(place: Place) -> None:
    """Who loses the connection gets what was missed."""

    def misses(steps: int) -> bool:
        with place.client() as client:
            return _misses_and_gets(place, client, steps)

    _in_mid_job(misses)


def _misses_and_gets(place: Place, client: Client, steps: int) -> bool:
    job = place.start("metronome", steps=steps, interval=INTERVAL)
    seen = [event["seq"] for event in client.ask("watch", job)["events"]]
    wait_until(lambda: client.seqs() or "SUCCESS" in states(client))
    before = client.sid
    link = _hang_up(client)
    wait_for_step(place.url, job, steps * 3 // 4)
    wait_until(lambda: client.sio.connected and client.sio.get_sid("/bridge") not in (None, before))
    link.close()

    seen += [seq for seq in client.seqs() if seq not in seen]
    known = max(seen, default=0)
    ack = client.ask("watch", {**job, "since": known})
    wait_until(lambda: ack["snapshot"]["state"] == "SUCCESS" or "SUCCESS" in states(client))
    missed = [event["seq"] for event in ack["events"]]
    if not place.replays:
        assert ack["gap"] == (ack["snapshot"]["last_seq"] > known)
        return True
    if not missed:
        return False
    live = [seq for seq in client.seqs() if seq > missed[-1]]
    assert seen + missed + live == list(range(1, 11))
    return True


def _hang_up(client: Client) -> socket.socket:
    """Break the connection as a network does; the client then comes back by itself."""
    link: socket.socket = client.sio.eio.ws.sock
    link.shutdown(socket.SHUT_RDWR)
    return link


def stream(place: Place) -> None:
    """Server-sent events, as `curl -N` gets them."""
    _in_mid_job(lambda steps: _streams(place, steps))


def _streams(place: Place, steps: int) -> bool:
    job = place.start("metronome", steps=steps, interval=INTERVAL)
    listener = Listener(f"{place.url}/bridge/jobs/{job['job']}/events", job["token"])
    wait_until(lambda: "SUCCESS" in [state["state"] for state in listener.states()])
    if place.replays:
        assert listener.seqs() == list(range(1, 11))
    else:
        _check_rest(listener.seqs())
    listener.close()
    return len(listener.states()) >= 3


_SUITE: Final[tuple[Callable[[Place], None], ...]] = (
    late_then_live, failure_after_a_retry, cancel, reconnect, stream,
)  # fmt: skip


def run_whole(place: Place) -> None:
    """Run all of it at once, as clients come in life; it mostly waits for tasks."""
    with ThreadPoolExecutor() as together:
        for done in [together.submit(check, place) for check in _SUITE]:
            done.result()
