"""A supervised whole for tests: `python demo_program.py FOLDER LOG PART [PART...]`.

A part is ``name=python code``. Each prints READY when it does its work. All pids end up in LOG.
With PATIENT set, only a second signal ends what is stubborn.
"""

import sys
from pathlib import Path

from bridge.cli import demo_supervisor
from bridge.cli.demo_supervisor import Part, PartFailed, Stopped, Supervisor


def main(folder: Path, log: Path, *parts: str) -> int:
    import os

    if os.environ.get("PATIENT"):
        demo_supervisor.STOP_SECONDS = 600
    with Supervisor(sys.stdout, folder) as supervisor:
        try:
            for text in parts:
                name, _, code = text.partition("=")
                ready = folder / name
                command = (sys.executable, "-u", "-c", code, str(log), str(ready))
                supervisor.start(Part(name, command, os.environ, ready.exists))
            supervisor.wait_ready(*(text.partition("=")[0] for text in parts), seconds=20)
            print("ALL READY", flush=True)
            supervisor.watch()
        except Stopped:
            return 0
        except PartFailed as error:
            print(f"FAILED {error}", flush=True)
            return 1
    raise AssertionError("watch() ended without a reason")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
