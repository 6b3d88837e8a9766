"""The checker finds each kind of breach, and none where nothing is broken."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.checker import check
from tests.faults.evidence import Abuse, Death, Entry, Evidence, History, Memory, Probe, Stored
from tests.faults.ledger import Execution, Truth

JOB, PID = "job", 77
FIRST, SECOND = "deed-1", "deed-2"


def state(
    rev: int, word: str, current: float | None, *, run: int = 1, **fields: Any
) -> dict[str, Any]:
    return {
        "job": JOB, "rev": rev, "run": run, "last_seq": 0, "epoch": 1, "state": word, "runs": [],
        "current": current, "error": None, "meta": {"deed": SECOND if run == 2 else FIRST},
        **fields,
    }  # fmt: skip


def event(rev: int, seq: int, *, run: int = 1, number: int | None = None) -> dict[str, Any]:
    data = {"deed": SECOND if run == 2 else FIRST, "number": number or seq}
    return {"job": JOB, "rev": rev, "run": run, "seq": seq, "at": 1.0, "data": data}


def messages() -> list[tuple[float, str, dict[str, Any]]]:
    """A job in short: two updates and two events, and it ended well."""
    return [
        (1.0, "progress", state(1, "STARTED", None)),
        (2.0, "progress", state(2, "PROGRESS", 1)),
        (2.5, "step", event(3, 1)),
        (3.0, "progress", state(4, "PROGRESS", 2, last_seq=1)),
        (3.5, "step", event(5, 2)),
        (4.0, "progress", state(6, "SUCCESS", 3, last_seq=2)),
    ]


def history(
    client: str = "c", heard: list[tuple[float, str, dict[str, Any]]] | None = None
) -> History:
    """A client that was there from the start."""
    made = History(client)
    answer = {"ok": True, "job": JOB, "snapshot": None, "events": [], "gap": False}
    made.entries = [
        Entry(0.1, "connect"), Entry(0.2, "ask"), Entry(0.3, "ack", data=answer, asked=0.2),
    ]  # fmt: skip
    for at, name, data in messages() if heard is None else heard:
        made.entries.append(Entry(at, "live", name, data))
        if name == "progress":
            made.shown.append((at, data))
        else:
            made.told.append((at, {"name": name, **data}))
    return made


def sound() -> Evidence:
    """Nothing is broken."""
    execution = Execution(
        FIRST, PID, started=0.9, ended=3.9, outcome="SUCCESS", events=2, slowest=0.001,
        updates=[(1, 1), (2, 2), (3, 3)],
    )  # fmt: skip
    return Evidence(
        JOB, Truth([execution]), [history("c"), history("d")],
        Stored(state(6, "SUCCESS", 3, last_seq=2),
               [{"name": "step", **event(3, 1)}, {"name": "step", **event(5, 2)}]),
    )  # fmt: skip


def retried() -> Evidence:
    """The same with a second run before the end."""
    found = sound()
    first = replace(found.truth.executions[0], ended=4.0, outcome="RETRY")
    second = Execution(SECOND, PID, 4.5, 5.9, "SUCCESS", [(1, 1)], 0)
    found.truth = Truth([first, second])
    for each in found.histories:
        each.shown[-1] = (4.0, state(6, "RETRY", 3, last_seq=2))
        each.entries[-1] = Entry(4.0, "live", "progress", each.shown[-1][1])
        for at, more in ((5.0, state(7, "STARTED", None, run=2, last_seq=2)),
                         (6.0, state(8, "SUCCESS", 1, run=2, last_seq=2))):  # fmt: skip
            each.entries.append(Entry(at, "live", "progress", more))
            each.shown.append((at, more))
    found.stored.snapshot = state(8, "SUCCESS", 1, run=2, last_seq=2)
    return found


def killed() -> Evidence:
    """The worker was killed, and everybody was told."""
    found = sound()
    found.truth.executions[0].ended, found.truth.executions[0].outcome = None, ""
    found.deaths = [Death(PID, 3.6)]
    found.finals = frozenset({"FAILURE"})
    verdict = {"type": "WorkerLost", "message": ""}
    for each in found.histories:
        each.shown[-1] = (8.0, state(6, "LOST", 2, last_seq=2))
        each.shown.append((9.0, state(7, "FAILURE", 2, last_seq=2, error=verdict)))
        each.entries[-1] = Entry(8.0, "live", "progress", each.shown[-2][1])
        each.entries.append(Entry(9.0, "live", "progress", each.shown[-1][1]))
    found.stored.snapshot = state(7, "FAILURE", 2, last_seq=2, error=verdict)
    return found


@pytest.mark.parametrize("make", [sound, retried, killed])
def test_where_nothing_is_broken_nothing_is_found(make: Callable[[], Evidence]) -> None:
    assert check(make()) == []


def late_joiner(found: Evidence) -> None:
    late = History("late")
    snapshot = found.stored.snapshot
    answer = {"ok": True, "snapshot": snapshot, "events": found.stored.events, "gap": False}
    late.entries = [Entry(9.0, "connect"), Entry(9.0, "ask"),
                    Entry(9.1, "ack", data=answer, asked=9.0)]  # fmt: skip
    late.shown = [(9.1, dict(snapshot or {}))]
    late.told = [(9.1, each) for each in found.stored.events]
    found.histories.append(late)


def told_gap(found: Evidence) -> None:
    late_joiner(found)
    found.stored.events = found.stored.events[1:]
    late = found.histories[-1]
    late.told, late.gaps = late.told[1:], [(9.1, 1, 1)]


def killed_before_its_events_went(found: Evidence) -> None:
    found.truth.executions[0].events = 9
    found.truth.executions[0].ended = None
    found.deaths = [Death(PID, 3.95)]
    found.finals = frozenset({"SUCCESS"})


def lost_after_a_long_silence(found: Evidence) -> None:
    found.silences = [(0.9, 3.1)]
    found.histories[0].shown.insert(3, (3.2, state(5, "LOST", 2, last_seq=1)))


@pytest.mark.parametrize(
    "change",
    [late_joiner, told_gap, killed_before_its_events_went, lost_after_a_long_silence],
)
def test_what_is_allowed_is_no_breach(change: Callable[[Evidence], None]) -> None:
    found = sound()
    change(found)
    assert check(found) == []


def test_a_task_may_set_its_figure_back() -> None:
    heard = messages()
    heard.insert(4, (3.2, "progress", state(4, "PROGRESS", 1, last_seq=1)))
    heard[3] = (2.7, "progress", state(3, "PROGRESS", 2))
    heard[2] = (2.5, "step", event(2, 1))
    heard[1] = (2.0, "progress", state(1, "PROGRESS", 1))
    heard[0] = (1.0, "progress", state(0, "STARTED", None))
    heard = [(at, name, {**data, "rev": data["rev"] + 1}) for at, name, data in heard]
    found = sound()
    found.histories = [history("c", heard)]
    found.stored.events = [{"name": n, **e} for _, n, e in heard if n == "step"]
    found.stored.snapshot = heard[-1][2]
    assert [b.what for b in check(found)] == [
        "in run 1 1 was shown, which the task did not set at that point"
    ]
    found.truth.executions[0].updates = [(1, 1), (2, 2), (1, 1), (3, 3)]
    assert check(found) == []


# Each of these breaks one promise. What they do to the evidence of a sound, retried or killed job:


def put_state(each: History, at: float, new: dict[str, Any], place: int | None = None) -> None:
    place = len(each.shown) if place is None else place
    each.shown.insert(place, (at, new))


def rev_falls(found: Evidence) -> None:
    entries = found.histories[0].entries
    entries[-1], entries[-3] = entries[-3], entries[-1]


def one_rev_twice(found: Evidence) -> None:
    entries = found.histories[0].entries
    entries[-1] = replace(entries[-1], data={**entries[-1].data, "message": "another"})


def seq_against_rev(found: Evidence) -> None:
    for each in found.histories:
        for entry in each.entries:
            if entry.name == "step":
                entry.data["seq"] = 3 - entry.data["seq"]


def old_snapshot(found: Evidence) -> None:
    answer = {"ok": True, "snapshot": state(2, "PROGRESS", 1), "events": [], "gap": False}
    found.histories[0].entries.append(Entry(9.0, "ack", data=answer, asked=8.9))


def forgotten_job(found: Evidence) -> None:
    answer = {"ok": True, "snapshot": None, "events": [], "gap": False}
    found.histories[0].entries.append(Entry(9.0, "ack", data=answer, asked=8.9))


def figure_goes_back(found: Evidence) -> None:
    found.histories[0].shown[2] = (3.0, state(4, "PROGRESS", 0.5, last_seq=1))


def figure_of_nobody(found: Evidence) -> None:
    found.histories[0].shown[2] = (3.0, state(4, "PROGRESS", 2.5, last_seq=1))


def older_run_over_newer(found: Evidence) -> None:
    put_state(found.histories[0], 5.5, state(7, "PROGRESS", 3, last_seq=2), place=5)


def flicker(found: Evidence) -> None:
    flickering = state(8, "PROGRESS", None, run=2, last_seq=2, meta={"deed": FIRST})
    put_state(found.histories[0], 5.5, flickering, place=5)


def undone_end(found: Evidence) -> None:
    put_state(found.histories[0], 4.2, state(7, "PROGRESS", 3, last_seq=2))
    put_state(found.histories[0], 4.3, state(8, "SUCCESS", 3, last_seq=2))


def wrong_end(found: Evidence) -> None:
    found.histories[0].shown[-1] = (4.0, state(6, "FAILURE", 3, last_seq=2))


def no_end(found: Evidence) -> None:
    found.histories[0].shown.pop()


def nothing_at_all(found: Evidence) -> None:
    found.histories[0].shown.clear()


def late_end(found: Evidence) -> None:
    found.histories[0].shown[-1] = (9.1, found.histories[0].shown[-1][1])


def late_after_the_fault(found: Evidence) -> None:
    found.fault_ended = 20.0
    found.histories[0].shown[-1] = (25.5, found.histories[0].shown[-1][1])


def rests_at_lost(found: Evidence) -> None:
    found.finals = frozenset()
    found.histories[0].shown.pop()


def journal_has_it_wrong(found: Evidence) -> None:
    found.stored.snapshot = state(6, "PROGRESS", 3, last_seq=2)


def lost_event(found: Evidence) -> None:
    found.histories[0].told.pop()


def lost_event_in_the_middle(found: Evidence) -> None:
    found.histories[0].told.pop(0)


def event_told_twice(found: Evidence) -> None:
    found.histories[0].told.append(found.histories[0].told[-1])


def event_stored_twice(found: Evidence) -> None:
    again = {"name": "step", **event(7, 3, number=2)}
    found.stored.events.append(again)
    for each in found.histories:
        each.told.append((4.1, again))


def event_of_nobody(found: Evidence) -> None:
    found.truth.executions[0].events = 1


def event_never_stored(found: Evidence) -> None:
    found.truth.executions[0].events = 3


def events_out_of_order(found: Evidence) -> None:
    found.histories[0].told.reverse()


def gap_that_was_not_told(found: Evidence) -> None:
    told_gap(found)
    found.histories[-1].gaps.clear()


def infrastructure_exception(found: Evidence) -> None:
    found.truth.executions[0].raised = ["ConnectionError: no queue"]


def task_ended_by_the_bridge(found: Evidence) -> None:
    found.finals = frozenset({"SUCCESS"})
    found.truth.executions[0].outcome = "BROKEN: the queue is away"


def blocked_task(found: Evidence) -> None:
    found.truth.executions[0].slowest = 1.5


def memory_grows(found: Evidence) -> None:
    found.memories = [Memory("node", [(float(n), n * 1_000_000) for n in range(90)], 30_000_000)]


def room_stays(found: Evidence) -> None:
    found.channels_left = ["ours/job:{job}"]


def death_untold(found: Evidence) -> None:
    found.finals = frozenset({"PROGRESS"})
    found.stored.snapshot = state(4, "PROGRESS", 2)
    for each in found.histories:
        del each.shown[-2:], each.entries[-2:]


def death_told_late(found: Evidence) -> None:
    found.histories[0].shown[-2] = (11.0, found.histories[0].shown[-2][1])
    found.histories[0].shown[-1] = (11.5, found.histories[0].shown[-1][1])


def living_worker_lost(found: Evidence) -> None:
    put_state(found.histories[0], 3.2, state(4, "LOST", 2, last_seq=1), place=3)


def lost_before_its_death(found: Evidence) -> None:
    found.deaths = [Death(PID, 8.5)]


def lost_though_the_silence_was_short(found: Evidence) -> None:
    living_worker_lost(found)
    found.silences = [(2.9, 3.1)]


def stranger_receives(found: Evidence) -> None:
    found.strangers = [history("stranger", messages()[:1])]


def stranger_is_answered(found: Evidence) -> None:
    found.strangers = [history("stranger", [])]


def probe_tells(found: Evidence) -> None:
    found.probes = [
        Probe("watch", {"ok": False, "error": "forbidden"}, {"ok": False, "error": "unknown_job"})
    ]


def probe_is_let_in(found: Evidence) -> None:
    found.probes = [Probe("watch", {"ok": True}, {"ok": True})]


def abuse_ends_the_node(found: Evidence) -> None:
    found.abuses = [Abuse("a deep list", connection_lives=False, node_lives=False)]


def abuse_ends_the_connection(found: Evidence) -> None:
    found.abuses = [Abuse("a deep list", connection_lives=False, node_lives=True)]


BREAKS: list[tuple[int, Callable[[], Evidence], Callable[[Evidence], None]]] = [
    (1, sound, rev_falls), (1, sound, one_rev_twice), (1, sound, seq_against_rev),
    (1, sound, old_snapshot), (1, sound, forgotten_job),
    (2, sound, figure_goes_back), (2, sound, figure_of_nobody), (2, retried, older_run_over_newer),
    (2, retried, flicker), (2, sound, undone_end),
    (3, sound, wrong_end), (3, sound, no_end), (3, sound, nothing_at_all), (3, sound, late_end),
    (3, sound, late_after_the_fault), (3, killed, rests_at_lost), (3, sound, journal_has_it_wrong),
    (4, sound, lost_event), (4, sound, lost_event_in_the_middle), (4, sound, event_told_twice),
    (4, sound, event_stored_twice), (4, sound, event_of_nobody), (4, sound, event_never_stored),
    (4, sound, events_out_of_order), (4, sound, gap_that_was_not_told),
    (5, sound, infrastructure_exception), (5, sound, task_ended_by_the_bridge),
    (5, sound, blocked_task),
    (6, sound, memory_grows), (6, sound, room_stays),
    (7, killed, death_untold), (7, killed, death_told_late), (7, sound, living_worker_lost),
    (7, killed, lost_before_its_death), (7, sound, lost_though_the_silence_was_short),
    (8, sound, stranger_receives), (8, sound, stranger_is_answered), (8, sound, probe_tells),
    (8, sound, probe_is_let_in),
    (9, sound, abuse_ends_the_node), (9, sound, abuse_ends_the_connection),
]  # fmt: skip


@pytest.mark.parametrize(
    ("invariant", "make", "breaks"), BREAKS, ids=[f"{n}-{b.__name__}" for n, _, b in BREAKS]
)
def test_each_breach_is_found_by_its_number(
    invariant: int, make: Callable[[], Evidence], breaks: Callable[[Evidence], None]
) -> None:
    found = copy.deepcopy(make())
    breaks(found)
    assert invariant in {breach.invariant for breach in check(found)}


def test_every_invariant_is_broken_on_purpose() -> None:
    assert {number for number, _, _ in BREAKS} == set(range(1, 10))


def test_a_breach_names_its_job_and_client() -> None:
    found = sound()
    wrong_end(found)
    (breach,) = check(found)
    assert (breach.invariant, breach.job, breach.client) == (3, JOB, "c")
    assert "FAILURE" in breach.what
