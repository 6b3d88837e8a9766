"""An installed app's tasks, found by `autodiscover_tasks`."""

from celery import shared_task

from bridge import Progress, push_progress


@shared_task
@push_progress(unit="rows")
def import_rows(total: int, *, progress: Progress) -> None:
    for _ in progress.track(range(total), description="Importing"):
        pass
