"""The matrix, column Worker: all the ways in which an execution ends, or does not."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import socketio

from bridge import Job
from tests.conftest import wait_until
from tests.faults.cell import LONG, Cell
from tests.faults.evidence import Death
from tests.faults.stack import Stack, Worker
from tests.nodes import NAMESPACE

pytestmark = [pytest.mark.redis, pytest.mark.e2e]

#: Longer than a lease, so that a worker that says nothing meanwhile could be taken for dead.
SILENT_SECONDS = 20 if LONG else 5
POOLS = ("threads", "solo", "gevent", "eventlet")
NEVER = "3600"
#: Who says so first: the worker's parent, or, where Celery takes its time to notice, the sweep.
LOST_ERRORS = ("WorkerLostError", "WorkerLost")


@pytest.fixture(scope="module")
def worker(stack: Stack) -> Worker:
    """A prefork worker; each child ends after a task, for its memory is over the limit."""
    return stack.start_worker(
        "-c", "4", "--max-memory-per-child", "1", FAULTS_VISIBILITY=NEVER
    )  # fmt: skip


@pytest.fixture(scope="module")
def pools(stack: Stack) -> dict[str, Worker]:
    """A worker of each other pool, on a queue of its own."""

    def start(pool: str) -> Worker:
        return stack.start_worker(
            "-P", pool, "-c", "2", "-Q", f"{stack.channel}-{pool}", FAULTS_VISIBILITY=NEVER
        )

    with ThreadPoolExecutor() as starting:
        return dict(zip(POOLS, starting.map(start, POOLS), strict=True))


@pytest.fixture
def sio(stack: Stack) -> Iterator[socketio.SimpleClient]:
    """A client that asks for things."""
    with socketio.SimpleClient() as client:
        client.connect(stack.url(), namespace=NAMESPACE, transports=["websocket"])
        yield client


def pid_of(cell: Cell, job: Job, execution: int = -1) -> int:
    """The process of an execution, once it has begun."""
    count = execution + 1 if execution >= 0 else 1
    wait_until(lambda: len(cell.stack.truth(job.id).executions) >= count)
    return cell.stack.truth(job.id).executions[execution].pid


def begun(cell: Cell, job: Job, current: float = 1) -> None:
    """Watch a job until its figure is on every screen."""
    for recorder in cell.watch(job):
        recorder.wait_current(current)


@pytest.mark.cell("Worker", "kill -9 of the child (prefork)")
def test_the_child_is_killed(cell: Cell, worker: Worker) -> None:
    job = cell.start("steps", 1000)
    begun(cell, job, 5)
    worker.kill(pid_of(cell, job))
    cell.fault_over()
    (found,) = cell.settle(job, finals={"FAILURE"})
    assert found.histories[0].state["error"]["type"] in LOST_ERRORS


@pytest.mark.cell("Worker", "acks_late + reject_on_worker_lost: redelivered after kill -9")
def test_a_redelivered_job_goes_on(cell: Cell, worker: Worker) -> None:
    job = cell.start("steady", 30)
    begun(cell, job, 5)
    worker.kill(pid_of(cell, job))
    cell.fault_over()
    (found,) = cell.settle(job)
    assert len(found.truth.executions) == 2


@pytest.mark.cell("Worker", "kill -9 of the parent and all children")
def test_the_whole_worker_is_killed(cell: Cell) -> None:
    queue = f"{cell.stack.channel}-doomed"
    doomed = cell.start_worker("-Q", queue, FAULTS_VISIBILITY=NEVER)
    comes_back = cell.start("steady", 60, queue=queue)
    is_gone = cell.start("steps", 1000, queue=queue)
    for job in (comes_back, is_gone):
        begun(cell, job, 3)
    doomed.kill()
    for recorder in cell.stack.recorders:
        recorder.wait_for("LOST" if recorder.job == comes_back.id else "FAILURE")
    cell.start_worker("-Q", queue, FAULTS_VISIBILITY="1")
    cell.fault_over()
    cell.settle(comes_back)
    (found,) = cell.settle(is_gone, finals={"FAILURE"})
    assert found.histories[0].state["error"]["type"] == "WorkerLost"


@pytest.mark.cell("Worker", "SIGSTOP for longer than the lease, then SIGCONT")
def test_a_worker_is_stopped_and_goes_on(cell: Cell) -> None:
    queue = f"{cell.stack.channel}-stopped"
    stopped = cell.start_worker("-Q", queue, FAULTS_VISIBILITY=NEVER)
    jobs = [cell.start("steady", 40, queue=queue), cell.start("steps", 40, queue=queue)]
    for job in jobs:
        begun(cell, job, 3)
    family = stopped.freeze()
    for recorder in cell.stack.recorders:
        recorder.wait_for("LOST" if recorder.job == jobs[0].id else "FAILURE")
    stopped.thaw(family)
    cell.fault_over()
    cell.settle(*jobs)
    cell.note = "meanwhile it was shown as LOST, or WorkerLost; both were undone"


@pytest.mark.cell("Worker", "a silent task, its worker alone cut off for longer than the lease")
def test_a_worker_is_cut_off(cell: Cell, worker: Worker, tmp_path: Path) -> None:
    job = cell.start("taciturn", str(tmp_path))
    begun(cell, job)
    # From outside that can't be told from a death.
    worker.deaths.append(Death(pid_of(cell, job), time.monotonic(), until=float("inf")))
    cell.stack.worker_wire.black_hole()
    for recorder in cell.stack.recorders:
        recorder.wait_for("LOST", "FAILURE")
    cell.stack.worker_wire.heal()
    for recorder in cell.stack.recorders:
        recorder.wait_for("STARTED", "PROGRESS")
    cell.fault_over()
    (tmp_path / "enough").touch()
    cell.settle(job)
    cell.note = "meanwhile it was shown as LOST; its worker undid that before the task spoke again"


@pytest.mark.cell("Worker", "a silent task, everybody cut off from the queue for three leases")
def test_everybody_is_cut_off(cell: Cell, worker: Worker, tmp_path: Path) -> None:
    job = cell.start("taciturn", str(tmp_path))
    begun(cell, job)
    wires = [cell.stack.worker_wire, *cell.stack.node_wires]
    for wire in wires:
        wire.black_hole()
    cell.hold(3 * cell.stack.lease, 60)
    for wire in wires:
        wire.heal()
    cell.fault_over()
    # What is told now to one who asks shows that queue and nodes are well again.
    begun(cell, job)
    cell.hold(1.5 * cell.stack.lease)
    (tmp_path / "enough").touch()
    cell.settle(job)


@pytest.mark.cell("Worker", "warm shutdown (SIGTERM) in mid-task")
def test_a_warm_shutdown(cell: Cell) -> None:
    queue = f"{cell.stack.channel}-leaving"
    leaving = cell.start_worker("-Q", queue, FAULTS_VISIBILITY=NEVER)
    job = cell.start("steps", 40, queue=queue)
    begun(cell, job, 5)
    leaving.process.terminate()
    cell.settle(job)
    leaving.process.wait(30)


@pytest.mark.cell("Worker", "hard time limit")
def test_a_hard_time_limit(cell: Cell, worker: Worker) -> None:
    job = cell.start("too_long")
    cell.watch(job)
    (found,) = cell.settle(job, finals={"FAILURE"})
    assert found.histories[0].state["error"]["type"] == "TimeLimitExceeded"


@pytest.mark.cell("Worker", "soft time limit")
def test_a_soft_time_limit(cell: Cell, worker: Worker) -> None:
    jobs = [cell.start("overdue", tidy) for tidy in (True, False)]
    for job in jobs:
        cell.watch(job)
    good, bad = cell.settle(*jobs)
    assert (good.truth.final, bad.truth.final) == ("SUCCESS", "FAILURE")


@pytest.mark.cell("Worker", "memory limit (max_memory_per_child)")
def test_children_are_replaced(cell: Cell, worker: Worker) -> None:
    jobs = [cell.start("steps", 5) for _ in range(12)]
    for job in jobs:
        cell.watch(job, "raw")
    found = cell.settle(*jobs)
    assert len({each.truth.executions[0].pid for each in found}) == 12


@pytest.mark.cell("Worker", "revoke without terminate: of a queued job, of a running one")
def test_revoke(cell: Cell, worker: Worker) -> None:
    queued, running = cell.start("steps", 5, countdown=1.5), cell.start("steps", 60)
    cell.stack._app.control.revoke(queued.id)
    cell.watch(queued)
    begun(cell, running, 3)
    cell.stack._app.control.revoke(running.id)
    cell.settle(queued, finals={"REVOKED"})
    cell.settle(running)


@pytest.mark.cell("Worker", "revoke with terminate")
def test_revoke_and_terminate(cell: Cell, worker: Worker) -> None:
    job = cell.start("steps", 1000)
    begun(cell, job, 3)
    cell.stack._app.control.revoke(job.id, terminate=True)
    cell.settle(job, finals={"REVOKED"})


@pytest.mark.cell("Worker", "retry with countdown")
def test_retry_later(cell: Cell, worker: Worker) -> None:
    job = cell.start("again_later", 1)
    for recorder in cell.watch(job):
        recorder.wait_for("RETRY")
    cell.settle(job)


@pytest.mark.cell("Worker", "retry(countdown=0)")
def test_retry_at_once(cell: Cell, worker: Worker) -> None:
    jobs = [cell.start("unsteady", 5, 0.02, 3) for _ in range(3)]
    for job in jobs:
        cell.watch(job)
    for found in cell.settle(*jobs):
        runs = found.stored.snapshot["runs"]
        assert [run["state"] for run in runs] == ["RETRY", "RETRY", "RETRY", "SUCCESS"]


@pytest.mark.cell("Worker", "a task that forks and starts threads")
def test_a_crowd(cell: Cell, worker: Worker) -> None:
    job = cell.start("crowd")
    cell.watch(job)
    (found,) = cell.settle(job)
    assert len(found.stored.events) == 36


@pytest.mark.parametrize("how", ["sys.exit", "os._exit"])
@pytest.mark.cell("Worker", "a task that calls sys.exit or os._exit")
def test_a_task_leaves(cell: Cell, worker: Worker, how: str) -> None:
    job = cell.start("leave", how)
    # It is a death, too: Celery may take so long to notice that the lease runs out.
    worker.deaths.append(Death(pid_of(cell, job), time.monotonic()))
    cell.watch(job)
    (found,) = cell.settle(job, finals={"FAILURE"})
    assert found.histories[0].state["error"]["type"] in LOST_ERRORS


@pytest.mark.cell("Worker", "a result that can't be serialised")
def test_an_inexpressible_result(cell: Cell, worker: Worker) -> None:
    job = cell.start("inexpressible")
    cell.watch(job)
    cell.settle(job, finals={"FAILURE"})


@pytest.mark.cell("Worker", "Ignore, Reject, Reject(requeue=True), self.replace")
def test_other_ends(cell: Cell, worker: Worker) -> None:
    jobs = [
        cell.start("ignored"),
        cell.start("rejected", False),
        cell.start("rejected", True),
        cell.start("replaced", 5),
    ]
    for job in jobs:
        cell.watch(job)
    found = cell.settle(*jobs)
    assert [each.truth.final for each in found] == ["SUCCESS", "FAILURE", "SUCCESS", "SUCCESS"]
    assert [len(each.truth.executions) for each in found] == [1, 1, 2, 2]


@pytest.mark.cell("Worker", "a deduplicated redelivery of a stored success")
def test_a_stored_success(cell: Cell) -> None:
    queue = f"{cell.stack.channel}-fatal"
    fatal = cell.start_worker("-c", "1", "-Q", queue, FAULTS_VISIBILITY=NEVER)
    job = cell.start("fatal", 3, queue=queue)
    cell.watch(job)
    wait_until(lambda: fatal.process.poll() is not None, what="the worker's death")
    again = cell.start_worker("-c", "1", "-Q", queue, FAULTS_VISIBILITY="0")
    cell.fault_over()
    (found,) = cell.settle(job)
    wait_until(lambda: b"already completed" in again.log.read_bytes(), what="the redelivery")
    assert len(found.truth.executions) == 1


@pytest.mark.cell(
    "Worker", "a C call that holds the GIL, or blocks the loop of a green pool, for 20 s"
)
def test_nobody_can_speak(cell: Cell, worker: Worker, pools: dict[str, Worker]) -> None:
    queue = cell.stack.channel
    jobs = [
        cell.start("deaf", SILENT_SECONDS, True, queue=queue),
        cell.start("deaf", SILENT_SECONDS, True, queue=f"{queue}-threads"),
        cell.start("deaf", SILENT_SECONDS, False, queue=f"{queue}-gevent"),
        cell.start("deaf", SILENT_SECONDS, False, queue=f"{queue}-eventlet"),
    ]
    for job in jobs:
        begun(cell, job)
    cell.settle(*jobs, seconds=SILENT_SECONDS + 30)


@pytest.mark.cell("Worker", "cancel in every pool: of a running job, a queued and a finished one")
def test_cancel(
    cell: Cell, worker: Worker, pools: dict[str, Worker], sio: socketio.SimpleClient
) -> None:
    def cancel(job: Job) -> dict[str, object]:
        answer: dict[str, object] = sio.call("cancel", {"job": job.id, "token": job.token})
        return answer

    asked, running, queued = {}, {}, {}
    for pool in ("prefork", *POOLS):
        queue = cell.stack.channel if pool == "prefork" else f"{cell.stack.channel}-{pool}"
        may = {"actions": ("watch", "cancel"), "queue": queue}
        queued[pool] = cell.start("steps", 200, countdown=2, **may)
        running[pool] = cell.start("silent", **may)
        assert cancel(queued[pool]) == {"ok": True}
    for pool, job in running.items():
        begun(cell, job)
        cell.watch(queued[pool], "raw")
        asked[pool] = time.monotonic()
        assert cancel(job) == {"ok": True}
    cell.fault_over()
    seconds = []
    for pool, found in zip(running, cell.settle(*running.values()), strict=True):
        (execution,) = found.truth.executions
        assert (execution.outcome, execution.ended is None) == ("REVOKED", False)
        seconds.append(f"{pool} {(execution.ended or 0) - asked[pool]:.1f}")
        assert cancel(running[pool])["error"] == "finished"
    cell.note = f"seconds until a silent task stopped: {', '.join(seconds)}"
    for found in cell.settle(*queued.values(), finals={"REVOKED"}):
        # It doesn't begin; but where the journal takes longer than 200 ms to answer, nobody waits
        # for that, and it is stopped at its first step.
        assert [each.outcome for each in found.truth.executions] in ([], ["REVOKED"])


@pytest.mark.cell(
    "Worker", "two deliveries of a job at a time: the newer one is shown, whoever dies"
)
def test_duplicates(cell: Cell, worker: Worker) -> None:
    job = cell.promise(uuid.uuid4().hex)
    cell.start("steps", 1000, task_id=job.id)
    begun(cell, job, 3)
    cell.start("steps", 60, task_id=job.id)
    older, newer = pid_of(cell, job, 0), pid_of(cell, job, 1)
    assert older != newer
    for recorder in cell.stack.recorders:
        wait_until(lambda r=recorder: r.state["run"] == 2 and r.current > 3)  # type: ignore[misc]
    worker.kill(older)
    cell.fault_over()
    (found,) = cell.settle(job)
    assert found.stored.snapshot["runs"][-1]["state"] == "SUCCESS"
