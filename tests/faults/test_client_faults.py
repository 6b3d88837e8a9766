"""The matrix, column Client: what happens to those who watch."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
import requests

from tests.conftest import wait_until
from tests.faults.cell import Cell
from tests.faults.clients import KINDS, NodeLink, RawLink
from tests.faults.evidence import Abuse, Memory, Probe
from tests.faults.stack import resident
from tests.nodes import Client

pytestmark = [pytest.mark.redis, pytest.mark.e2e, pytest.mark.usefixtures("worker")]

RECONNECTS = 50


@pytest.mark.cell("Client", "no fault: every kind of client, on two nodes")
def test_without_a_fault(cell: Cell) -> None:
    job = cell.start("steps", 20)
    for node in (0, 1):
        cell.watch(job, *KINDS, "widget", node=node)
    cell.settle(job)


@pytest.mark.cell("Client", "offline for 30 s in mid-job")
def test_offline_in_mid_job(cell: Cell) -> None:
    job = cell.start("steps", 900 if cell.long else 90)
    for recorder in cell.watch(job):
        recorder.wait_current(5)
    cell.stack.client_wires[0].cut()
    cell.hold(2, 30)
    cell.stack.client_wires[0].heal()
    cell.fault_over()
    cell.settle(job, seconds=60)


@pytest.mark.cell("Client", "in a black hole for 30 s in mid-job")
def test_black_holed_in_mid_job(cell: Cell) -> None:
    job = cell.start("steps", 900 if cell.long else 90)
    for recorder in cell.watch(job):
        recorder.wait_current(5)
    cell.stack.client_wires[0].black_hole()
    cell.hold(2, 30)
    cell.stack.client_wires[0].heal()
    cell.fault_over()
    cell.settle(job, seconds=60)


@pytest.mark.cell("Client", "offline at the very moment of the final state")
def test_offline_at_the_end(cell: Cell) -> None:
    job = cell.start("steps", 40)
    for recorder in cell.watch(job, "python", "raw", "node", "widget"):
        recorder.wait_current(25)
    cell.stack.client_wires[0].cut()
    wait_until(lambda: cell.stack.stored(job.id).snapshot["state"] == "SUCCESS")
    cell.stack.client_wires[0].heal()
    cell.fault_over()
    cell.settle(job)


@pytest.mark.cell("Client", f"{RECONNECTS} reconnects in a row")
def test_many_reconnects(cell: Cell) -> None:
    job = cell.start("steps", 150)
    recorder, _ = cell.watch(job, "raw", "widget")
    for times in range(1, RECONNECTS + 1):
        cell.stack.client_wires[0].drop()
        wait_until(
            lambda wanted=times + 1: (
                len(recorder.heard("connect")) >= wanted
                and recorder.heard("ack")[-1].at > recorder.heard("connect")[-1].at
            ),
            what=f"reconnect {times}",
        )
    cell.fault_over()
    cell.settle(job)


@pytest.mark.cell("Client", "joins before PENDING")
def test_joins_before_the_job_is_known(cell: Cell) -> None:
    job = cell.promise(uuid.uuid4().hex)
    recorders = cell.watch(job)
    assert all(recorder.history.state is None for recorder in recorders)
    cell.start("steps", 10, task_id=job.id)
    cell.settle(job)
    assert all("PENDING" in [s["state"] for _, s in r.history.shown] for r in recorders)


@pytest.mark.cell("Client", "joins after the end")
def test_joins_after_the_end(cell: Cell) -> None:
    job = cell.start("steps", 10)
    wait_until(
        lambda: (cell.stack.stored(job.id).snapshot or {}).get("state") == "SUCCESS", seconds=20
    )
    cell.watch(job, *KINDS)
    cell.settle(job)


@pytest.mark.cell("Client", "joins two nodes at once")
def test_joins_two_nodes_at_once(cell: Cell) -> None:
    job = cell.start("steps", 40)
    both = [KINDS["python"](cell.stack.url(0)), KINDS["raw"](cell.stack.url(1))]
    recorder = cell.stack.record("both", job, both)
    recorder.wait_current(5)
    cell.stack.client_wires[1].cut()
    recorder.wait_current(20)
    cell.stack.client_wires[1].heal()
    cell.fault_over()
    cell.settle(job)


@pytest.mark.cell("Client", "sleeps like a laptop, over the end of the job")
def test_sleeps_like_a_laptop(cell: Cell) -> None:
    job = cell.start("steps", 40)
    (recorder,) = cell.watch(job, "node")
    (laptop,) = recorder.links
    assert isinstance(laptop, NodeLink)
    recorder.wait_current(5)
    laptop.sleep()
    wait_until(lambda: cell.stack.stored(job.id).snapshot["state"] == "SUCCESS")
    cell.hold(0, 60)  # longer than a ping may stay unanswered
    laptop.wake()
    cell.fault_over()
    cell.settle(job)


@pytest.mark.cell("Client", "polling transport only, and its requests are broken off")
def test_polling_only(cell: Cell) -> None:
    job = cell.start("steps", 60)
    (recorder,) = cell.watch(job, "polling")
    for current in (5, 15, 25):
        recorder.wait_current(current)
        cell.stack.client_wires[0].drop()
    cell.fault_over()
    cell.settle(job)


@pytest.mark.cell("Client", "reads nothing for 30 s")
def test_reads_nothing(cell: Cell) -> None:
    """Tens of megabytes are sent to those who don't read; the node holds little of that."""
    count = 800
    job = cell.start("bulky", count, 20_000)
    recorders = cell.watch(job, *["raw"] * 4)
    node = cell.stack.nodes[0].process.pid
    held = Memory("the node", [], allowed_growth=30_000_000)
    for recorder in recorders:
        assert isinstance(recorder.links[0], RawLink)
        recorder.links[0].stop_reading()

    def is_over() -> bool:
        held.samples.append((time.monotonic(), resident(node)))
        return cell.stack.truth(job.id).final is not None

    wait_until(is_over, seconds=30, what="the task's end")
    cell.hold(0, 30)
    is_over()
    for recorder in recorders:
        recorder.links[0].read_on()
    cell.fault_over()
    cell.settle(job, memories=[held])
    grown = max(size for _, size in held.samples) - held.samples[0][1]
    cell.note = f"{count * 20_000 * 4 / 1e6:.0f} MB unread, the node grew by {grown / 1e6:.0f} MB"


@pytest.mark.cell("Client", "a stranger asks, and sends nonsense")
def test_a_stranger(cell: Cell) -> None:
    job, other = cell.start("steps", 30), cell.stack.token("another")
    cell.watch(job, "raw")
    url, node = cell.stack.url(), cell.stack.nodes[0]
    stranger = Client(url)

    def asked(event: str, name: str) -> Any:
        return stranger.ask(event, {"job": name, "token": other})

    def fetched(path: str) -> Any:
        answer = requests.get(f"{url}/bridge/jobs/{path}", params={"token": other}, timeout=30)
        return {**answer.json(), "status": answer.status_code}

    probes = [
        Probe("watch", asked("watch", job.id), asked("watch", "missing")),
        Probe("cancel", asked("cancel", job.id), asked("cancel", "missing")),
        Probe("a snapshot by HTTP", fetched(job.id), fetched("missing")),
    ]
    abuses = []
    for nonsense in (None, 7, "x" * 10_000, {"job": ["a"]}, {"jobs": {}}, [[[[[[]]]]]]):
        answer = stranger.ask("watch", nonsense)
        told = isinstance(answer, dict) and answer["ok"] is False
        abuses.append(Abuse(f"a watch of {nonsense!r:.20}", told, node.process.poll() is None))
    assert stranger.received == []
    stranger.close()
    cell.settle(job, probes=probes, abuses=abuses)


@pytest.mark.cell("Client", "everybody leaves: no node listens any longer")
def test_everybody_leaves(cell: Cell) -> None:
    job = cell.start("steps", 10)
    for node in (0, 1):
        cell.watch(job, "raw", node=node)
    cell.settle(job)
    with cell.stack.queue.client as client:
        pattern = f"{cell.stack.channel}/*{job.id}*"  # other cells' clients may linger
        assert client.pubsub_channels(pattern)
        cell.leave()
        wait_until(lambda: not client.pubsub_channels(pattern), what="the last room's end")
