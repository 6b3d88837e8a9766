"""An app made by a factory, with blueprints; the bridge is made first and gets the app later.

pip install 'celery-bridge[web]' gunicorn gevent
export BRIDGE_MESSAGE_QUEUE=redis://127.0.0.1:6379/0 BRIDGE_SECRET_KEY=... BRIDGE_ASYNC_MODE=gevent
celery -A tasks worker & gunicorn -k gevent -w 1 'factory_app:create_app()'
"""

from flask import Blueprint, Flask, jsonify
from flask.typing import ResponseReturnValue
from tasks import count

from bridge import Bridge, submit

bridge = Bridge()
sheep = Blueprint("sheep", __name__, url_prefix="/sheep")


@sheep.post("/<int:total>")
def start(total: int) -> ResponseReturnValue:
    job = submit(count, [total], actions=("watch", "cancel"))
    return jsonify(job=job.id, token=job.token), 201


@sheep.get("/<job>/token")
def token(job: str) -> ResponseReturnValue:
    """In your app: only if this user may see this job."""
    return jsonify(token=bridge.issue_token(job, expires=60))


def create_app() -> Flask:
    app = Flask(__name__)
    bridge.init_app(app)
    app.register_blueprint(sheep)
    return app
