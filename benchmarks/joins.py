"""Clients that come, wait and leave: joins a second, and the memory of each. Goal 5."""

from __future__ import annotations

import time
from typing import Any

from socketio import PubSubManager, Server

from benchmarks.contestants import Contestant, Node, Ours, Stock
from benchmarks.load import Crowd, settle
from benchmarks.machine import private_redis
from benchmarks.report import Subject, alternate, ratios, spread
from bridge.message_queue.roster import Roster

#: Stock's eventlet server stops at 1,024 connections.
CLIENTS = 500
MANY = 5000
LEAVERS = 100


def measure(contestant: Contestant, clients: int) -> dict[str, float]:
    """Start a server anew and let clients join it, 50 at a time."""
    server = contestant.start()
    try:
        crowd = Crowd(contestant, server, [f"room-{number}" for number in range(100)], apart=True)
        crowd.connect(20)
        settle(crowd)
        resident, cpu = server.resident(), server.cpu()
        seconds = crowd.connect(clients)
        cpu = server.cpu() - cpu
        settle(crowd)
        time.sleep(0.3)
        grown = server.resident() - resident
        joined = len(crowd.clients) - 20
        crowd.close()
        return {
            "joined": joined, "rate": clients / seconds, "cpu": cpu / clients * 1000,
            "kB": grown / clients / 1000,
        }  # fmt: skip
    finally:
        server.stop()


def leave(kind: type[PubSubManager]) -> dict[str, float]:
    """Microseconds until one of `MANY` clients, each in a room of its own, is forgotten."""
    manager: Any = kind(write_only=True)
    Server(client_manager=manager, async_mode="threading")
    sids = [manager.connect(f"connection-{number}", "/") for number in range(MANY)]
    for number, sid in enumerate(sids):
        manager.basic_enter_room(sid, "/", f"room-{number}")
    begun = time.perf_counter()
    for sid in sids[:LEAVERS]:
        manager.basic_disconnect(sid, "/")
    return {"leave": (time.perf_counter() - begun) / LEAVERS * 1e6}


def run(rounds: int) -> Subject:
    subject = Subject("joins", "Clients that connect, join and wait")
    with private_redis() as url:
        contestants: dict[str, Contestant] = {
            each.name: each
            for each in (
                Stock(url, "eventlet"), Stock(url, "gevent"), Node(url), Ours(url, "eventlet"),
                Ours(url, "gevent"),
            )
        }  # fmt: skip
        found = alternate(rounds, list(contestants), lambda n: measure(contestants[n], CLIENTS))
        many = measure(contestants["celery-bridge, eventlet"], MANY)
    kinds = {"python-socketio": PubSubManager, "celery-bridge": Roster}
    left = alternate(rounds, list(kinds), lambda name: leave(kinds[name]))
    stock = next(iter(found))
    subject.table(
        f"{CLIENTS} clients, 50 at a time; ours give a token, and are answered from the journal",
        ["contestant", "joins/s", "ratio to stock", "CPU ms a join", "kB a watcher", "ratio"],
        [
            [
                name, spread(e["rate"], 0), spread(ratios(e["rate"], found[stock]["rate"])),
                spread(e["cpu"]), spread(e["kB"], 1), spread(ratios(e["kB"], found[stock]["kB"])),
            ]
            for name, e in found.items()
        ],
    )  # fmt: skip
    subject.table(
        f"One of {MANY} clients, each in a room of its own, leaves: the client manager's part",
        ["manager", "microseconds", "ratio"],
        [
            [
                name, spread(e["leave"], 1),
                spread(ratios(e["leave"], left["python-socketio"]["leave"]), 4),
            ]
            for name, e in left.items()
        ],
    )  # fmt: skip
    for mode in ("eventlet", "gevent"):
        ours, peer = found[f"celery-bridge, {mode}"], found[f"stock Flask-SocketIO, {mode}"]
        subject.goal(
            5, f"joins a second, {mode}, to stock", 1.0, ratios(ours["rate"], peer["rate"]),
            at_least=True,
        )  # fmt: skip
        subject.goal(
            5, f"memory of an idle watcher, {mode}, to stock", 0.8, ratios(ours["kB"], peer["kB"])
        )  # fmt: skip
    subject.goal(
        5, f"idle watchers on one node ({many['rate']:.0f} joins/s, {many['kB']:.1f} kB each)",
        MANY, [many["joined"]], at_least=True,
    )  # fmt: skip
    return subject
