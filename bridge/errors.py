"""What can go wrong, as a tree.

    BridgeError
    ├── SettingsError (ValueError)        a setting or BRIDGE_* variable is unknown or out of range
    ├── InvalidId (ValueError)            a job, root or user id that can't be a room
    ├── ReservedName (ValueError)         an event name that the wire keeps for itself
    ├── PayloadError (ValueError)         what was to be sent is not JSON
    │   └── PayloadTooLarge               ... or is over MAX_PAYLOAD
    ├── StageError (ValueError)           stage weights that don't add up
    ├── DecoratorError (TypeError)        @push_progress on something that it can't decorate
    ├── PatchingError (RuntimeError)      the web node's process is patched too late, or wrongly
    ├── QueueUnavailable                  the message queue or the journal can't be reached
    └── Refused                           the relay says no; has a wire code and an HTTP status
        ├── Forbidden  Expired  BadRequest  TooMany  UnknownJob  Finished  Unavailable

    JobCancelled (BaseException)          raised inside a task that somebody cancelled

Programming errors (everything above `PatchingError`) are raised at the call. `QueueUnavailable`
never reaches task code: the outbox keeps what it has and tries again.
"""

from typing import ClassVar


class BridgeError(Exception):
    """The root of all errors of celery-bridge that a program may want to catch."""


class SettingsError(BridgeError, ValueError):
    """A setting is unknown or has a value that is not allowed.

    Attributes:
        variable: the setting's name as the user wrote it, e.g. ``BRIDGE_LEASE``.
        value: what was given, credentials hidden; None for an unknown name.
    """

    def __init__(self, variable: str, value: object, allowed: str) -> None:
        self.variable = variable
        self.value = value
        super().__init__(
            f"{variable}: {allowed}" if value is None else f"{variable}={value!r}: {allowed}"
        )


class InvalidId(BridgeError, ValueError):
    """An id can't be part of a room, a channel or a key."""


class ReservedName(BridgeError, ValueError):
    """An event's name is not allowed, or is one that the wire contract keeps for itself."""


class PayloadError(BridgeError, ValueError):
    """A payload can't be sent as JSON."""


class PayloadTooLarge(PayloadError):
    """A payload is over MAX_PAYLOAD.

    Attributes:
        size: the encoded size in bytes.
        limit: the size allowed, in bytes.
    """

    def __init__(self, what: str, size: int, limit: int) -> None:
        self.size = size
        self.limit = limit
        super().__init__(
            f"{what} is {size} bytes of JSON, the limit is {limit}: "
            "send less, or raise BRIDGE_MAX_PAYLOAD on workers and web nodes alike"
        )


class StageError(BridgeError, ValueError):
    """A stage's weight is out of range, or the weights of its siblings leave no room for it."""


class DecoratorError(BridgeError, TypeError):
    """`push_progress` was put on something that it can't decorate."""


class PatchingError(BridgeError, RuntimeError):
    """This process is not monkey-patched as its async mode needs."""


class QueueUnavailable(BridgeError):
    """The message queue or the journal can't be reached just now."""


class Refused(BridgeError):
    """The relay refuses a request. Its subclasses are the wire's error codes.

    Attributes:
        code: the word in an ack's ``error``.
        status: the HTTP status for the same.
    """

    code: ClassVar[str] = "bad_request"
    status: ClassVar[int] = 400


class Forbidden(Refused):
    """No permission: the same whether the job exists or not."""

    code = "forbidden"
    status = 403


class Expired(Refused):
    """The token was right once, and its time has run out."""

    code = "expired"
    status = 401


class BadRequest(Refused):
    """What the client sent is malformed."""


class TooMany(Refused):
    """A limit of the client is used up."""

    code = "too_many"
    status = 429


class UnknownJob(Refused):
    """The holder of a valid token asked for a job that the journal doesn't know."""

    code = "unknown_job"
    status = 404


class Finished(Refused):
    """The job has ended, so it can't be cancelled."""

    code = "finished"
    status = 409


class Unavailable(Refused):
    """The journal can't be reached; ask again."""

    code = "unavailable"
    status = 503


class JobCancelled(BaseException):
    """Raised by the next step of a task whose job was cancelled.

    It derives from BaseException, so that neither ``except Exception`` in the task nor Celery's
    ``autoretry_for`` swallows it. A task may catch it to tidy up and must raise it again.
    """
