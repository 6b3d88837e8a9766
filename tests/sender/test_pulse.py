"""Leases, and who vouches for processes that can't speak for themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bridge.journal import connect
from bridge.rooms import lease_key
from bridge.sender.lease import lease_of, own_lease
from bridge.sender.pulse import Pulse
from bridge.settings import Settings
from tests.conftest import wait_until


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()
    assert process.stdin is not None
    process.stdin.close()


def stands(settings: Settings, lease: str) -> bool:
    client = connect(settings.journal_url)
    try:
        return bool(client.exists(lease_key(settings.channel, lease)))
    finally:
        client.close()


def test_a_lease_names_one_life_of_a_process(child: subprocess.Popen[bytes]) -> None:
    lease = lease_of(child.pid)
    assert lease
    assert lease == lease_of(child.pid) != own_lease() == lease_of(os.getpid())
    child.send_signal(signal.SIGKILL)
    wait_until(lambda: lease_of(child.pid) is None, what="a zombie to be known as dead")
    assert lease_of(2**22 + 1) is None


@pytest.mark.redis
def test_a_parent_vouches_for_children_that_live(
    settings: Settings, child: subprocess.Popen[bytes]
) -> None:
    lease = lease_of(child.pid)
    assert lease is not None
    pulse = Pulse(settings, lambda: [child.pid])
    pulse.beat()
    assert stands(settings, lease)
    connect(settings.journal_url).delete(lease_key(settings.channel, lease))
    child.kill()
    child.wait()
    pulse.beat()
    assert not stands(settings, lease)


@pytest.mark.redis
def test_a_process_outside_vouches_for_a_worker_that_holds_the_gil_until_it_ends(
    settings: Settings,
) -> None:
    program = f"""
import ctypes, time
from bridge.sender.pulse import Voucher
from bridge.sender.lease import own_lease
from bridge.settings import Settings
voucher = Voucher(Settings.load({{
    "message_queue": {settings.message_queue!r}, "channel": {settings.channel!r}, "lease": 1,
}}, environ={{}}))
first = voucher.process.pid
voucher.process.kill()
while voucher.process.pid == first:
    time.sleep(0.01)  # another one is started
print(own_lease(), voucher.process.pid, flush=True)
ctypes.PyDLL(None).sleep(60)  # a C call that holds the GIL
"""
    worker = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    lease, voucher = worker.stdout.readline().split()
    wait_until(lambda: stands(settings, lease), what="the lease")
    client = connect(settings.journal_url)
    client.delete(lease_key(settings.channel, lease))
    wait_until(lambda: stands(settings, lease), what="the lease, renewed though the GIL is held")
    worker.kill()
    worker.wait()
    wait_until(lambda: not stands(settings, lease), what="the lease to run out")
    wait_until(lambda: lease_of(int(voucher)) is None, what="the voucher to end")
    worker.stdout.close()
    client.close()
