"""The checker: compares what clients received and showed with the journal and with the truth.

It reports every breach of the nine invariants, each by its number. It knows nothing of the bridge's
code: only the wire contract, and what the tasks wrote down.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.faults.evidence import (
    DEATH_SECONDS,
    RECOVERY_SECONDS,
    Breach,
    Evidence,
    History,
)

FINAL = frozenset({"SUCCESS", "FAILURE", "REVOKED"})
WORKER_LOST = "WorkerLost"
#: What differs between messages of one rev, for a snapshot is read later than its state was sent:
#: it tells the newest run, also where only an event of that is known yet.
_READ_LATER = ("last_seq", "runs", "run")

Found = Iterator[tuple[str, str]]


def check(evidence: Evidence) -> list[Breach]:
    """Return all breaches; an empty list is what every cell wants."""
    return [
        Breach(number, evidence.job, client, what)
        for number, rule in _RULES
        for client, what in rule(evidence)
    ]


def _revs_rise(evidence: Evidence) -> Found:
    """1: rev rises; one rev is one message; seq goes with it."""
    contents: dict[tuple[int, Any], Any] = {}
    numbered: dict[int, int] = {}
    for history in evidence.histories:
        # States and events apart, for a client that fell behind is told the newest state anew.
        last: Counter[tuple[int, bool]] = Counter()
        for entry in history.entries:
            if entry.what == "connect":
                last[entry.link, True] = last[entry.link, False] = 0
            if entry.what == "live" and entry.data.get("rev") is not None:
                rev, is_state = entry.data["rev"], entry.name == "progress"
                before = last[entry.link, is_state]
                if rev < before + (not is_state) and history.ordered:
                    yield history.client, f"{entry.name} {rev} came after {before}"
                last[entry.link, is_state] = rev
        for name, message in _messages(history):
            content = _content(name, message)
            # What is told again to a new journal may get a number that the lost one gave away.
            place = message["rev"], message.get("epoch")
            if contents.setdefault(place, content) != content:
                yield history.client, f"two messages have rev {message['rev']}"
            if name != "progress":
                numbered[message["rev"]] = message["seq"]
    if evidence.journal_lost:
        return
    seqs = [numbered[rev] for rev in sorted(numbered)]
    if any(later <= earlier for earlier, later in itertools.pairwise(seqs)):
        yield "", "the order of seq is not that of rev"


def _snapshots_are_new(evidence: Evidence) -> Found:
    """1: a snapshot read after a publish is never older than it, unless the journal lost that."""
    if evidence.journal_lost:
        return
    received = sorted(
        (entry.at, entry.data["rev"])
        for history in evidence.histories
        for entry in history.entries
        if entry.what == "live" and entry.name == "progress"
    )
    for history in evidence.histories:
        for entry in history.entries:
            if entry.what != "ack" or not entry.data.get("ok"):
                continue
            known = max((rev for at, rev in received if at < entry.asked), default=0)
            snapshot = entry.data["snapshot"]
            if snapshot is None and known:
                yield history.client, f"an answer knew nothing after rev {known} was published"
            if snapshot is not None and snapshot["rev"] < known:
                yield history.client, f"an answer had rev {snapshot['rev']} after {known} was told"


def _screens_go_forward(evidence: Evidence) -> Found:
    """2: within a run no figure goes back unless the task set it back; no older run comes back."""
    for history in evidence.histories:
        states = [state for _, state in history.shown]
        for before, after in itertools.pairwise(states):
            if after["run"] < before["run"]:
                yield history.client, f"run {after['run']} was shown over run {before['run']}"
            if after["rev"] <= before["rev"]:
                yield history.client, f"rev {after['rev']} was shown over {before['rev']}"
            ended = before["state"] in FINAL and not _is_verdict(before)
            if ended and after["run"] == before["run"] and after["state"] != before["state"]:
                yield history.client, f"{after['state']} was shown over {before['state']}"
        yield from ((history.client, what) for what in _flickers(states))
        # Where nobody knows a run any more, the next one has its number in the new journal.
        for (run, _), shown in itertools.groupby(states, key=lambda s: (s["run"], s.get("epoch"))):
            yield from ((history.client, what) for what in _goes_back(evidence, run, list(shown)))


def _flickers(states: list[dict[str, Any]]) -> Iterator[str]:
    order = [deed for deed, _ in itertools.groupby(filter(None, map(_deed_of, states)))]
    for deed, times in Counter(order).items():
        if times > 1:
            yield f"the screen flickered: execution {deed} was shown, left, and shown again"


def _goes_back(evidence: Evidence, run: int, states: list[dict[str, Any]]) -> Iterator[str]:
    """Whether the figures shown in a run are some of those that the task set, in its order."""
    deed = next(filter(None, map(_deed_of, states)), None)
    execution = evidence.truth.of(deed)
    if execution is None:
        return
    shown = [state["current"] for state in states if state["current"] is not None]
    place, within = 0, float("-inf")
    for figure in shown:
        while place < len(execution.updates):
            first, last = execution.updates[place]
            if max(first, within) <= figure <= last:
                within = figure
                break
            place, within = place + 1, float("-inf")
        else:
            yield f"in run {run} {figure} was shown, which the task did not set at that point"
            return


def _ends_are_true(evidence: Evidence) -> Found:
    """3: every watcher shows the true final state within 5 s of the end of the fault."""
    allowed = evidence.finals or frozenset(filter(None, [evidence.truth.final]))
    for history in evidence.histories:
        state = history.state
        word = state["state"] if state is not None else "nothing"
        if allowed and word not in allowed:
            yield history.client, f"shows {word}, the truth is {' or '.join(sorted(allowed))}"
        elif not allowed and word not in FINAL:
            yield history.client, f"rests at {word}"
        elif state is not None and state["state"] in FINAL:
            late = seconds_late(evidence, history)
            if late > 0:
                yield history.client, f"showed {word} {late:.1f} s later than it should"
    snapshot = evidence.stored.snapshot
    if snapshot is not None and allowed and snapshot["state"] not in allowed:
        yield "", f"the journal has {snapshot['state']}, the truth is {' or '.join(allowed)}"


def seconds_late(evidence: Evidence, history: History) -> float:
    """How long after it should a client showed the end; up to 5 s before that is in time, < 0."""
    ends = [each.ended for each in evidence.truth.executions if each.ended is not None]
    told = evidence.lease + DEATH_SECONDS + evidence.lost_final
    deaths = [death.at + told for death in evidence.deaths]
    first_ask = min((e.at for e in history.entries if e.what == "ask"), default=0.0)
    due = max([evidence.fault_ended or 0.0, first_ask, *ends, *deaths])
    final = history.state
    assert final is not None
    since = next(
        at for at, state in history.shown
        if state["state"] == final["state"] and state["run"] == final["run"]
    )  # fmt: skip
    return since - due - RECOVERY_SECONDS


def _events_come_once(evidence: Evidence) -> Found:
    """4: no retained event is lost or shown twice; what is gone is told."""
    for history in evidence.histories:
        yield from ((history.client, what) for what in _told_wrongly(evidence, history))
    stored = Counter(_event_id(event) for event in evidence.stored.events)
    for ident, times in stored.items():
        if times > 1 and ident is not None:
            yield "", f"event {ident} stands {times} times in the journal"
    yield from (("", what) for what in _never_stored(evidence))


def _told_wrongly(evidence: Evidence, history: History) -> Iterator[str]:
    told = [event for _, event in history.told if event.get("seq") is not None]
    for what, numbers in (
        ("rev", Counter(event["rev"] for event in told)),
        ("event", Counter(filter(None, map(_event_id, told)))),
    ):
        for number, times in numbers.items():
            if times > 1:
                yield f"{what} {number} was told {times} times"
    for event in told:
        ident = _event_id(event)
        execution = evidence.truth.of(ident[0]) if ident else None
        if ident and (execution is None or ident[1] > execution.events):
            yield f"event {ident} was told, which no task emitted"
    revs = {event["rev"] for event in told}
    missing = [
        event["seq"] for event in evidence.stored.events
        if event["rev"] not in revs and event["seq"] > history.since
    ]  # fmt: skip
    gone = [(first, last) for _, first, last in history.gaps]
    unsaid = [seq for seq in missing if not _is_told_gone(seq, gone)]
    if unsaid:
        yield f"events {_ranges(unsaid)} are retained, and were neither told nor said to be gone"
    if evidence.journal_lost:
        return
    seqs = [event["seq"] for event in told]
    for before, after in itertools.pairwise([history.since, *seqs]):
        if after <= before:
            yield f"event {after} was told after {before}"
        elif any(not _is_told_gone(seq, gone) for seq in range(before + 1, after)):
            yield f"event {after} was told after {before}, and no gap between"


def _never_stored(evidence: Evidence) -> Iterator[str]:
    """Events of executions that ended in order, of which neither journal nor a gap knows."""
    if evidence.journal_lost:
        return
    known = {_event_id(event) for event in evidence.stored.events}
    for history in evidence.histories:
        known |= {_event_id(event) for _, event in history.told}
    dead = {death.pid for death in evidence.deaths}
    last = evidence.stored.snapshot["last_seq"] if evidence.stored.snapshot else 0
    gone = max(0, last - len(evidence.stored.events))
    for before, execution in enumerate(evidence.truth.executions, 1):
        healed = evidence.fault_ended + RECOVERY_SECONDS if evidence.fault_ended else 0.0
        until = max(execution.ended or 0.0, healed)
        others = evidence.truth.executions[before:]
        # Of two at a time either may be the one that is superseded; and what was held up by a fault
        # comes too late once the next run has begun.
        overtaken = any(each.started < until for each in others) or any(
            (each.ended or until) > execution.started
            for each in evidence.truth.executions[: before - 1]
        )
        # What a superseded run says late is refused; what a killed one had not sent is lost.
        if execution.ended is None or overtaken or execution.pid in dead:
            continue
        lost = [n for n in range(1, execution.events + 1) if (execution.id, n) not in known]
        if len(lost) > gone:
            yield f"events {_ranges(lost)} of execution {execution.id} never arrived"


def _tasks_go_on(evidence: Evidence) -> Found:
    """5: task code is never blocked and sees no exception of the infrastructure."""
    for execution in evidence.truth.executions:
        for error in execution.raised:
            yield "", f"the bridge raised into the task: {error}"
        if execution.outcome.startswith("BROKEN"):
            yield "", f"the bridge ended the task: {execution.outcome}"
        if execution.slowest > evidence.slow_limit:
            yield "", f"a call into the bridge took {execution.slowest:.3f} s"


def _memory_is_bounded(evidence: Evidence) -> Found:
    """6: memory is bounded; rooms without members vanish."""
    for memory in evidence.memories:
        sizes = [size for _, size in memory.samples]
        third = max(1, len(sizes) // 3)
        grown = _middle(sizes[-third:]) - _middle(sizes[:third]) if sizes else 0
        if grown > memory.allowed_growth:
            yield "", f"{memory.who} grew by {grown / 1e6:.1f} MB"
    for channel in evidence.channels_left:
        yield "", f"a node still listens on {channel}, and nobody watches"


def _deaths_are_told(evidence: Evidence) -> Found:
    """7: a dead worker's jobs are LOST in time, and a living one's are not."""
    for history in evidence.histories:
        for at, state in history.shown:
            word = state["state"]
            if word == "LOST" or _is_verdict(state):
                told = evidence.truth.of(_deed_of(state))
                # Who died before it told its name is one of those that ran the job.
                ran = [told] if told is not None else evidence.truth.executions
                pids = {execution.pid for execution in ran}
                dead = any(death.pid in pids and death.at <= at for death in evidence.deaths)
                if not dead and not _was_silent(evidence, at):
                    yield history.client, f"{word} was shown of a worker that lives"
    # A job whose worker died with the journal is one of which nobody knows.
    for death in evidence.deaths if not evidence.journal_lost else ():
        for execution in evidence.truth.executions:
            open_then = execution.started <= death.at and execution.ended is None
            if execution.pid == death.pid and open_then and death.until is None:
                for history in evidence.histories:
                    yield from _untold(evidence, history, death.at, execution.id)


def _was_silent(evidence: Evidence, at: float) -> bool:
    """Whether workers were cut off for longer than the lease, just before."""
    return any(
        begin + evidence.lease / 2 <= at <= end + evidence.lease + DEATH_SECONDS
        and end - begin >= evidence.lease / 2
        for begin, end in evidence.silences
    )


def _untold(evidence: Evidence, history: History, at: float, deed: str) -> Found:
    due = max(at + evidence.lease, evidence.fault_ended or 0.0) + DEATH_SECONDS
    before = [state for when, state in history.shown if when <= at]
    if not before or _deed_of(before[-1]) != deed:
        return
    after = [(when, state) for when, state in history.shown if when > at]
    told = [
        when for when, state in after
        if state["state"] not in ("STARTED", "PROGRESS") or _deed_of(state) not in (deed, None)
    ]  # fmt: skip
    if not told:
        yield history.client, "the death of the worker was never shown"
    elif told[0] > due:
        yield history.client, f"the death of the worker was shown {told[0] - at:.1f} s after it"


def _strangers_see_nothing(evidence: Evidence) -> Found:
    """8: no token, no data; refused alike for "no such job" and "not yours"."""
    for history in evidence.strangers:
        for entry in history.entries:
            if entry.what == "live" and entry.data.get("job") == evidence.job:
                yield history.client, f"a stranger received {entry.name}"
            elif entry.what == "ack" and entry.data.get("ok"):
                yield history.client, "a stranger's watch was answered"
    for probe in evidence.probes:
        if _anonymous(probe.existing) != _anonymous(probe.missing):
            yield "", f"{probe.how} tells a job that exists from one that does not"
        if isinstance(probe.existing, dict) and probe.existing.get("ok"):
            yield "", f"{probe.how} was allowed"


def _abuse_is_survived(evidence: Evidence) -> Found:
    """9: whatever comes from the network, the connection and the node live on."""
    for abuse in evidence.abuses:
        if not abuse.node_lives:
            yield "", f"{abuse.what} ended the node"
        elif not abuse.connection_lives:
            yield "", f"{abuse.what} ended the connection"


_RULES: tuple[tuple[int, Callable[[Evidence], Found]], ...] = (
    (1, _revs_rise),
    (1, _snapshots_are_new),
    (2, _screens_go_forward),
    (3, _ends_are_true),
    (4, _events_come_once),
    (5, _tasks_go_on),
    (6, _memory_is_bounded),
    (7, _deaths_are_told),
    (8, _strangers_see_nothing),
    (9, _abuse_is_survived),
)


def _messages(history: History) -> Iterator[tuple[str, dict[str, Any]]]:
    for entry in history.entries:
        if entry.what == "live" and entry.data.get("rev") is not None:
            yield entry.name, entry.data
        elif entry.what == "ack" and entry.data.get("ok"):
            if entry.data["snapshot"] is not None:
                yield "progress", entry.data["snapshot"]
            for event in entry.data["events"]:
                yield event["name"], {k: v for k, v in event.items() if k != "name"}


def _content(name: str, message: dict[str, Any]) -> Any:
    if name != "progress":
        return name, message
    return name, {key: value for key, value in message.items() if key not in _READ_LATER}


def _deed_of(state: dict[str, Any]) -> Any:
    return (state.get("meta") or {}).get("deed")


def _is_verdict(state: dict[str, Any]) -> bool:
    return (state.get("error") or {}).get("type") == WORKER_LOST


def _event_id(event: dict[str, Any]) -> tuple[str, int] | None:
    data = event.get("data")
    return (data["deed"], data["number"]) if isinstance(data, dict) and "deed" in data else None


def _is_told_gone(seq: int, gone: Iterable[tuple[int, int | None]]) -> bool:
    return any(first <= seq and (last is None or seq <= last) for first, last in gone)


def _ranges(numbers: list[int]) -> str:
    return f"{numbers[0]}..{numbers[-1]} ({len(numbers)})" if len(numbers) > 1 else str(numbers[0])


def _middle(sizes: list[int]) -> int:
    return sorted(sizes)[len(sizes) // 2]


def _anonymous(answer: Any) -> Any:
    """An answer without what names the job that was asked for."""
    return {k: v for k, v in answer.items() if k != "job"} if isinstance(answer, dict) else answer
