"""What a task does: it tells its state now and then, each time with the moment.

Arguments: job, how many times, milliseconds between two on average.
"""

import random
import sys
import time

from benchmarks.contestants import stamp
from bridge.sender.outbox import Outbox
from bridge.sender.process import open_emitter
from bridge.sender.progress import Progress
from bridge.sender.run import Run
from bridge.settings import Settings

job, times, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
settings = Settings.load({})
outbox = Outbox(settings, open_emitter(settings))
progress = Progress(Run(job=job, task="bench"), told_end=outbox.ended)
outbox.open(progress)
for number in range(times):
    time.sleep(random.uniform(0.5, 1.5) * pause / 1000)
    moment = stamp()
    progress.meta["sent"] = moment
    progress.update(number, times, moment)
progress.finish("SUCCESS")
outbox.flush(2)
