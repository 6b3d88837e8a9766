"""Flask-Login decides: nobody needs a token, and each user sees the jobs that are theirs.

pip install 'celery-bridge[web]' flask-login
export BRIDGE_MESSAGE_QUEUE=redis://127.0.0.1:6379/0 BRIDGE_SECRET_KEY=...
celery -A tasks worker & python flask_login_app.py
"""

from bridge.relay.patching import patch

patch("eventlet")  # before anything else is imported

import functools  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

from flask import Flask, abort, redirect, render_template_string, request  # noqa: E402
from flask_login import (  # noqa: E402
    LoginManager,
    UserMixin,
    current_user,
    login_required,
    login_user,
)
from flask_socketio import disconnect  # noqa: E402
from tasks import count  # noqa: E402
from werkzeug.security import check_password_hash, generate_password_hash  # noqa: E402

from bridge import Bridge, submit  # noqa: E402
from bridge.relay.authorize import owner_only  # noqa: E402
from bridge.relay.serving import serve  # noqa: E402
from bridge.settings import Settings  # noqa: E402

USERS = {name: generate_password_hash(f"{name}'s password") for name in ("ann", "bob")}

app = Flask(__name__)
app.config.update(
    SECRET_KEY=Settings.load().require_secret()[0],
    SESSION_COOKIE_HTTPONLY=True,
    SESSION_COOKIE_SAMESITE="Lax",  # another site's form can't act for our users
)
bridge = Bridge(app, authorize=owner_only)
logins = LoginManager(app)
logins.login_view = "login"


class User(UserMixin):
    """A user; `get_id()` is what `submit(user=...)` is given, and what `owner_only` compares."""

    def __init__(self, name: str) -> None:
        self.id = name


@logins.user_loader
def load_user(name: str) -> User | None:
    return User(name) if name in USERS else None


@app.route("/login", methods=["GET", "POST"])
def login() -> Any:
    if request.method == "POST":
        name = request.form.get("name", "")
        if not check_password_hash(USERS.get(name, ""), request.form.get("password", "")):
            abort(403)
        login_user(User(name))
        return redirect("/")
    return (
        '<form method="post"><input name="name"><input name="password" type="password">'
        "<button>Log in</button></form>"
    )


@app.get("/")
@login_required
def home() -> str:
    return '<form method="post" action="/jobs"><button>Start</button></form>'


@app.post("/jobs")
@login_required
def start() -> Any:
    job = submit(count, [20], user=current_user.get_id())
    return redirect(f"/jobs/{job.id}")


@app.get("/jobs/<job>")
@login_required
def show(job: str) -> str:
    # No token: the node asks `owner_only` when the page's connection wants to watch.
    return render_template_string(
        '<script type="module" src="/bridge/task-progress.js"></script>'
        '<task-progress job="{{ job }}"></task-progress>',
        job=job,
    )


def authenticated_only(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Guard a Socket.IO handler of your own; the bridge's namespace needs nothing of the kind."""

    @functools.wraps(handler)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if current_user.is_authenticated:
            return handler(*args, **kwargs)
        disconnect()
        return None

    return guarded


@bridge.socketio.on("greet")
@authenticated_only
def greet() -> str:
    return f"hello {current_user.get_id()}"


if __name__ == "__main__":
    import logging

    logging.basicConfig(level=logging.INFO)
    serve(app, bridge)
