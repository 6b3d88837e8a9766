"""The jobs that can be started here: their tasks and their fields.

Tasks are known by name only: a web node that had to import its workers' code would also need all
that they need.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.errors import BadRequest
from web.fields import Choice, Field, Files, Number

MAX_TEXTS = 20
MAX_DURATION_SECONDS = 20 * 60


@dataclass(frozen=True)
class JobKind:
    """A kind of job.

    Attributes:
        name: its name in the address.
        task: the Celery task's name.
        title: its name for people.
        about: one sentence about it.
        fields: what may be set.
        files: what is to be uploaded, or None.
        check: looks at all values together and raises BadRequest, or None.
    """

    name: str
    task: str
    title: str
    about: str
    fields: tuple[Field, ...] = ()
    files: Files | None = None
    check: Callable[[dict[str, Any]], None] | None = None

    def arguments(
        self, values: dict[str, Any], uploads: Sequence[tuple[str, str]]
    ) -> dict[str, Any]:
        """Return the task's keyword arguments.

        Args:
            values: the fields, checked.
            uploads: (name of the upload, name of the file) of each uploaded file.
        """
        if self.files is None:
            return values
        if self.files.most == 1:
            [(upload, name)] = uploads
            return {**values, "upload": upload, "name": name}
        return {
            **values,
            "uploads": [upload for upload, _ in uploads],
            "names": [name for _, name in uploads],
        }


def catalog(folders: tuple[str, ...]) -> dict[str, JobKind]:
    """Return all kinds of jobs by name.

    Args:
        folders: which folders may be hashed.
    """
    kinds = (
        JobKind(
            name="checksum_folder",
            task="workers.checksum_folder",
            title="Checksum a folder",
            about="Hashes every file of Python's standard library: two stages, measured in bytes.",
            fields=(Choice("folder", "Folder", folders),),
        ),
        JobKind(
            name="import_csv",
            task="workers.import_csv",
            title="Import a CSV file",
            about="Streams your file into SQLite and reports each row that doesn't fit.",
            files=Files("file", "CSV file", ".csv,.tsv,.txt,text/csv,text/plain"),
        ),
        JobKind(
            name="count_words",
            task="workers.count_words",
            title="Count words",
            about="Counts the words of one or more texts and lists the commonest ones.",
            files=Files("file", "Text files", ".txt,.md,.log,.py,text/*", most=MAX_TEXTS),
        ),
        JobKind(
            name="flaky",
            task="workers.flaky",
            title="Fail and try again",
            about="Fails as often as you ask and tries again, then succeeds or fails for good.",
            fields=(
                Number("failures", "Failures", default=2, low=0, high=20, whole=True),
                Number("countdown", "Seconds until the next try", default=1, low=0, high=60),
                Choice("outcome", "In the end", ("success", "failure")),
            ),
        ),
        JobKind(
            name="metronome",
            task="workers.metronome",
            title="Metronome",
            about="Steps at an even pace and does nothing else. Good for measuring.",
            fields=(
                Number("steps", "Steps", default=100, low=1, high=100_000, whole=True),
                Number("interval", "Seconds between steps", default=0.1, low=0, high=60),
            ),
            check=check_duration,
        ),
    )
    return {kind.name: kind for kind in kinds}


def check_duration(values: dict[str, Any]) -> None:
    """Refuse a metronome that would tick for more than 20 minutes."""
    seconds = values["steps"] * values["interval"]
    if seconds > MAX_DURATION_SECONDS:
        raise BadRequest(
            f"steps={values['steps']} with interval={values['interval']} take {seconds:g} seconds: "
            f"at most {MAX_DURATION_SECONDS} (20 minutes) are allowed, so lower one of them"
        )
