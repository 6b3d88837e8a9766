import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

PROGRAM = Path(__file__).parent / "demo_program.py"
NOTE = (
    "import os, pathlib, signal, subprocess, sys, time\n"
    "def note(pid): open(sys.argv[1], 'a').write(f'{pid}\\n')\n"
    "note(os.getpid())\n"
)
READY = "pathlib.Path(sys.argv[2]).touch(); print('here I am')\n"
WAIT = "time.sleep(600)\n"
CALM = NOTE + READY + WAIT
CHILD = "note(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid)\n"
STUBBORN_CHILD = CHILD.replace(
    "import time;", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
)
STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


class Whole:
    """A program under test and what it leaves behind."""

    def __init__(self, folder: Path, log: Path, *parts: str) -> None:
        self.folder, self._log = folder, log
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(folder), str(log), *parts],
            stdout=subprocess.PIPE,
            text=True,
        )

    def pids(self) -> list[int]:
        return [int(line) for line in self._log.read_text().split()] if self._log.exists() else []

    def wait_for(self, text: str) -> str:
        assert self.process.stdout is not None
        seen = ""
        for line in self.process.stdout:
            seen += line
            if text in line:
                return seen
        raise AssertionError(f"{text!r} never came; seen: {seen}")

    def end(self) -> tuple[int, str]:
        output, _ = self.process.communicate(timeout=30)
        return self.process.returncode, output


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[Callable[..., Whole]]:
    made: list[Whole] = []

    def make(*parts: str) -> Whole:
        folder = tmp_path / "private"
        folder.mkdir()
        made.append(Whole(folder, tmp_path / "pids", *parts))
        return made[-1]

    yield make
    for program in made:
        if program.process.poll() is None:
            program.process.kill()
        program.process.communicate()
        for pid in filter(alive, program.pids()):
            os.kill(pid, signal.SIGKILL)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_everything(whole: Callable[..., Whole], number: int) -> None:
    program = whole(f"first={CALM}", f"second={NOTE}{CHILD}{READY}{WAIT}")
    program.wait_for("ALL READY")
    assert len(program.pids()) == 3
    assert all(map(alive, program.pids()))
    program.process.send_signal(number)
    assert program.end()[0] == 0
    assert not any(map(alive, program.pids()))
    assert not program.folder.exists()


@pytest.mark.parametrize("victim", [0, 1])
def test_the_death_of_one_part_stops_everything(whole: Callable[..., Whole], victim: int) -> None:
    program = whole(f"first={CALM}", f"second={CALM}")
    program.wait_for("ALL READY")
    by_name = {psutil.Process(pid).cmdline()[-1].rsplit("/", 1)[-1]: pid for pid in program.pids()}
    name = ("first", "second")[victim]
    os.kill(by_name[name], signal.SIGKILL)
    code, output = program.end()
    assert code == 1
    assert f"FAILED {name} was ended by SIGKILL; its last lines:\n    here I am" in output
    assert not any(map(alive, program.pids()))


def test_the_grandchildren_of_a_killed_part_go_too(whole: Callable[..., Whole]) -> None:
    program = whole(f"first={NOTE}{STUBBORN_CHILD}{READY}{WAIT}", f"second={CALM}")
    program.wait_for("ALL READY")
    parent = next(
        pid for pid in program.pids() if psutil.Process(pid).cmdline()[-1].endswith("first")
    )
    os.kill(parent, signal.SIGKILL)
    assert program.end()[0] == 1
    assert not any(map(alive, program.pids()))


def test_a_part_that_ends_early_is_named_with_its_exit_code_and_last_lines(
    whole: Callable[..., Whole],
) -> None:
    code, output = whole(f"good={CALM}", f"bad={NOTE}print('no flour'); sys.exit(3)").end()
    assert code == 1
    assert "FAILED bad ended with exit code 3; its last lines:\n    no flour" in output
    assert "ALL READY" not in output


def test_a_part_that_ends_well_ends_the_whole_all_the_same(whole: Callable[..., Whole]) -> None:
    code, output = whole(f"only={NOTE}{READY}time.sleep(0.5)").end()
    assert code == 1
    assert "FAILED only ended with exit code 0" in output


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    from bridge.cli.demo_supervisor import Part, PartFailed, Supervisor

    part = Part("oven", ("/no/such/program",), {}, lambda: True)
    with (
        Supervisor(sys.stdout, tmp_path / "none") as supervisor,
        pytest.raises(PartFailed, match="oven can't be started") as caught,
    ):
        supervisor.start(part)
    assert caught.value.name == "oven"


def test_a_part_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    from bridge.cli.demo_supervisor import Part, PartFailed, Supervisor

    command = (sys.executable, "-c", "import time; time.sleep(600)")
    with Supervisor(sys.stdout, tmp_path / "none") as supervisor:
        supervisor.start(Part("slow", command, os.environ, lambda: False))
        pid = supervisor._running["slow"].process.pid
        with pytest.raises(PartFailed, match=r"slow is not ready after 0\.3 seconds"):
            supervisor.wait_ready("slow", seconds=0.3)
    assert not alive(pid)


def test_a_stubborn_part_is_killed_at_the_second_signal(
    whole: Callable[..., Whole], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATIENT", "1")
    program = whole(f"mule={NOTE}{STUBBORN}{READY}{WAIT}")
    program.wait_for("ALL READY")
    program.process.send_signal(signal.SIGINT)
    time.sleep(0.5)  # Two signals at once may be delivered as one.
    program.process.send_signal(signal.SIGINT)
    assert program.end()[0] == 0
    assert not any(map(alive, program.pids()))


def test_kill_minus_nine_of_the_whole_leaves_nothing_either(whole: Callable[..., Whole]) -> None:
    program = whole(f"first={CALM}", f"mule={NOTE}{STUBBORN}{STUBBORN_CHILD}{READY}{WAIT}")
    program.wait_for("ALL READY")
    assert len(program.pids()) == 3
    program.process.kill()
    wait_until(lambda: not any(map(alive, program.pids())))
    wait_until(lambda: not program.folder.exists())


def test_the_log_tells_who_speaks(whole: Callable[..., Whole]) -> None:
    speaker = f"import sys; sys.stdout.buffer.write(b'caf\\xe9\\n'); sys.stdout.flush()\n{READY}"
    program = whole(f"ann={CALM}", f"bartholomew={NOTE}{speaker}{WAIT}")
    output = program.wait_for("ALL READY")
    program.process.terminate()
    output += program.end()[1]
    assert re.search(r"^\d\d:\d\d:\d\d ann +\| here I am$", output, re.MULTILINE)
    assert re.search(r"^\d\d:\d\d:\d\d bartholomew \| caf\ufffd$", output, re.MULTILINE)
