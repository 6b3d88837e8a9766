"""A program: an app with Flask-Login whose sessions decide, and routes that show its counts."""

from bridge.relay.patching import patch
from bridge.settings import Settings

patch(Settings.load().async_mode)

import logging  # noqa: E402
from typing import Any  # noqa: E402

from flask import Flask, jsonify, request  # noqa: E402
from flask_login import LoginManager, UserMixin, login_user, logout_user  # noqa: E402

from bridge import Bridge  # noqa: E402
from bridge.errors import Refused  # noqa: E402
from bridge.relay.authorize import owner_only  # noqa: E402
from bridge.relay.serving import serve  # noqa: E402

logging.basicConfig(level=logging.INFO)
app = Flask(__name__)
app.secret_key = "a session secret for tests only"
manager = LoginManager(app)
bridge = Bridge(app, authorize=owner_only)
reads = 0


class User(UserMixin):  # type: ignore[misc]  # flask-login has no types
    def __init__(self, name: str) -> None:
        self.id = name


@manager.user_loader  # type: ignore[untyped-decorator]
def load(name: str) -> User:
    return User(name)


@app.get("/login/<name>")
def login(name: str) -> str:
    login_user(User(name))
    return name


@app.get("/logout")
def logout() -> str:
    logout_user()
    return ""


@app.get("/page/<job>")
def page(job: str) -> Any:
    """What a page of this application would be made of."""
    try:
        return bridge.look(job, token=request.args.get("token"))
    except Refused as error:
        return {"error": error.code}, error.status


@app.get("/list/<user>")
def of_user(user: str) -> Any:
    listed = bridge.list_jobs(user=user, limit=2, cursor=request.args.get("cursor"))
    return {"jobs": [each["job"] for each in listed.snapshots], "cursor": listed.cursor}


@app.get("/counts")
def counts() -> Any:
    """What the relay counted, and how many times it read the journal."""
    assert bridge.relay is not None
    return jsonify({**bridge.relay.counters.as_dict(), "reads": reads})


bridge.start()
assert bridge.relay is not None
read = bridge.relay.reader.read


def counted(requests: Any) -> Any:
    global reads
    reads += 1
    return read(requests)


bridge.relay.reader.read = counted  # type: ignore[method-assign]
serve(app, bridge, port=0)
