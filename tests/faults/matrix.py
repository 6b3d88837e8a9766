"""Writes what the cells saw into a document: `python -m tests.faults.matrix RESULTS DOCUMENT`."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

COLUMNS = ("Worker", "Queue", "Queue (RabbitMQ)", "Web node", "Client", "Time", "Load")
BEGIN, END = "<!-- the matrix begins -->", "<!-- the matrix ends -->"
_PACKAGES = ("celery", "redis", "python-socketio", "Flask-SocketIO", "eventlet")


def table(results: list[dict[str, Any]]) -> str:
    """Return the matrix as Markdown, a row for each fault."""
    servers = sorted({line["server"] for line in results}, reverse=True)
    cells: dict[str, dict[str, dict[str, list[dict[str, Any]]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for line in results:
        cells[line["column"]][line["cell"]][line["server"]].append(line)
    lines = [
        "| | fault | " + " | ".join(f"recovery, {server}" for server in servers) + " | seen |",
        "|---" * (len(servers) + 3) + "|",
    ]
    for column in sorted(cells, key=lambda name: (*COLUMNS, name).index(name)):
        for name, by_server in cells[column].items():
            times = [_recovery(by_server[server]) for server in servers]
            notes = [line["note"] for found in by_server.values() for line in found if line["note"]]
            lines.append(f"| {column} | {name} | {' | '.join(times)} | {'; '.join(notes[:1])} |")
    return "\n".join(lines)


def _recovery(found: list[dict[str, Any]]) -> str:
    if not found:
        return ""
    if not all(line["kept"] for line in found):
        return "**a promise was broken**"
    return f"{max(line['recovery'] for line in found):.1f} s"


def main() -> None:
    """Put the matrix between its marks."""
    results, document = map(Path, sys.argv[1:])
    lines = [json.loads(text) for text in results.read_text().splitlines()]
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    forms = " and ".join(sorted({"long" if line["long"] else "short" for line in lines}))
    written = (
        f"{BEGIN}\n\n`make faults`, {datetime.now(timezone.utc):%Y-%m-%d}, one run, {len(lines)} "
        f"cells in their {forms} form; {versions}.\n\n{table(lines)}\n\n{END}"
    )
    text = document.read_text()
    before, rest = text.split(BEGIN)
    document.write_text(before + written + rest.split(END)[1])


if __name__ == "__main__":
    main()
