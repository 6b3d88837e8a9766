"""An app with a Socket.IO server of its own: what Flask-SocketIO does, beside the bridge.

The bridge shares the server and keeps to its namespace; everything here is yours.

pip install 'celery-bridge[web]' flask-login
export BRIDGE_MESSAGE_QUEUE=redis://127.0.0.1:6379/0 BRIDGE_SECRET_KEY=...
celery -A tasks worker & python socketio_app.py
"""

from bridge.relay.patching import patch
from bridge.settings import Settings

settings = Settings.load()
patch(settings.async_mode)  # before anything else is imported

import os  # noqa: E402
from typing import Any  # noqa: E402

from flask import Flask, request, session  # noqa: E402
from flask_login import LoginManager, UserMixin, current_user, login_user  # noqa: E402
from flask_socketio import (  # noqa: E402
    Namespace,
    SocketIO,
    close_room,
    disconnect,
    emit,
    join_room,
    leave_room,
    rooms,
    send,
)
from tasks import count  # noqa: E402

from bridge import Bridge, submit  # noqa: E402

app = Flask(__name__)
app.config["SECRET_KEY"] = settings.require_secret()[0]
socketio = SocketIO(
    app,
    async_mode=settings.async_mode,
    # Other processes emit through this node, on the bridge's base channel, if you like.
    message_queue=settings.message_queue,
    channel=settings.channel,
    # Whether Socket.IO handlers have a session of their own, a copy of the one by HTTP.
    manage_session=os.environ.get("MANAGE_SESSION", "true") == "true",
)
bridge = Bridge(app)  # after the SocketIO, which it finds in the app
logins = LoginManager(app)
#: What went wrong and who left, for whoever asks.
told: list[str] = []


@logins.user_loader
def load_user(name: str) -> UserMixin:
    user = UserMixin()
    user.id = name
    return user


@app.post("/login/<name>")
def login(name: str) -> str:
    login_user(load_user(name))
    session["colour"] = "blue"
    return "welcome"


# Coming and going.


@socketio.on("connect")
def connect(auth: Any) -> Any:
    """Who comes with a stolen ticket is not let in."""
    return False if isinstance(auth, dict) and auth.get("ticket") == "stolen" else None


@socketio.on("disconnect")
def left(reason: str) -> None:
    told.append(f"left: {reason}")


@socketio.on("throw_me_out")
def throw_out() -> None:
    disconnect()


@socketio.on("told")
def what_was_told() -> list[str]:
    return told


# Messages: unnamed ones, JSON, bytes, several arguments, acks in both directions, to all others.


@socketio.on("message")
def message(text: str) -> None:
    send(text.upper())


@socketio.on("json")
def json_message(data: Any) -> None:
    send({"got": data}, json=True)


@socketio.on("picture")
def picture(data: bytes, name: str) -> tuple[int, str]:
    emit("picture", (data[::-1], name))
    return len(data), name


@socketio.on("ask_me")
def ask() -> None:
    emit("question", "how old?", callback=lambda answer: told.append(f"answered: {answer}"))


@socketio.on("shout")
def shout(text: str) -> None:
    emit("shout", text, broadcast=True, include_self=False)


# Rooms.


@socketio.on("enter")
def enter(room: str) -> list[str]:
    join_room(room)
    return sorted(set(rooms()) - {request.sid})


@socketio.on("leave")
def leave(room: str) -> list[str]:
    leave_room(room)
    return sorted(set(rooms()) - {request.sid})


@socketio.on("say")
def say(room: str, text: str) -> None:
    emit("said", text, to=room)


@socketio.on("close")
def close(room: str) -> None:
    close_room(room)


# A namespace as a class.


class Chat(Namespace):
    def on_connect(self, auth: Any) -> None:
        emit("hello", "chat")

    def on_say(self, text: str) -> str:
        emit("said", text, broadcast=True)
        return "ok"

    def on_fail(self) -> None:
        raise ValueError("chat")

    def on_count(self, total: int) -> dict[str, Any]:
        """The sid belongs to this namespace, so the progress comes here."""
        job = submit(count, [total], sid=request.sid, namespace=request.namespace)
        return {"job": job.id, "token": job.token}


socketio.on_namespace(Chat("/chat"))


# Errors: a namespace's own handler, and one for all others.


@socketio.on_error("/chat")
def chat_failed(error: Exception) -> None:
    told.append(f"chat: {request.event['message']}: {error}")


@socketio.on_error_default
def failed(error: Exception) -> None:
    told.append(f"default: {request.event['message']} {request.event['args']}: {error}")


@socketio.on("fail")
def fail(word: str) -> None:
    raise ValueError(word)


# Sessions and users.


@socketio.on("remember")
def remember(word: str) -> None:
    session["word"] = word


@socketio.on("recall")
def recall() -> list[Any]:
    return [session.get("colour"), session.get("word")]


@socketio.on("who_am_i")
def who() -> str | None:
    return current_user.get_id() if current_user.is_authenticated else None


# A job whose progress comes to who asked, in the namespace in which she asked.


@socketio.on("count")
def start(total: int) -> dict[str, Any]:
    job = submit(count, [total], sid=request.sid, namespace=request.namespace)
    return {"job": job.id, "token": job.token}


if __name__ == "__main__":
    socketio.run(app, host=settings.host, port=settings.port, allow_unsafe_werkzeug=True)
