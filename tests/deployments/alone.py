"""All in one process: our web node, and a Celery worker of our tasks in threads beside it.

It is started with ``BRIDGE_MESSAGE_QUEUE=memory://`` and the port to listen on.
"""

from __future__ import annotations

import logging
import sys

from celery.contrib.testing.worker import start_worker

from bridge.relay.extension import EXTENSION
from bridge.relay.serving import serve
from web.app import create_app
from workers.app import app as celery


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    # Celery's own transport looks for messages once a second, else.
    celery.conf.broker_transport_options = {"polling_interval": 0.02}
    web = create_app()
    with start_worker(celery, pool="threads", concurrency=8, perform_ping_check=False):
        serve(web, web.extensions[EXTENSION], port=int(sys.argv[1]))


if __name__ == "__main__":
    main()
