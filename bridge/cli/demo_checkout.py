"""Where the demo's own code lies: `workers` and `web` are no part of the installed package."""

from __future__ import annotations

from pathlib import Path

import bridge
from bridge.errors import BridgeError

NEEDED = ("workers/app.py", "web/__main__.py")
HINT = (
    "the demo's worker and web node are not part of the installed package; they lie in "
    "celery-bridge's repository. Get it and start the demo there: git clone the repository, "
    "cd celery-bridge, make demo"
)


class NoCheckout(BridgeError):
    """The folders `workers` and `web` can't be found."""


def checkout() -> Path:
    """Return the folder in which `workers` and `web` lie.

    It is where the package `bridge` was installed from with `pip install -e`, else the working
    folder.

    Raises:
        NoCheckout: they lie in neither.
    """
    assert bridge.__file__ is not None
    for folder in (Path(bridge.__file__).parent.parent, Path.cwd()):
        if all((folder / needed).is_file() for needed in NEEDED):
            return folder
    raise NoCheckout(HINT)
