"""FastAPI gives tokens, a bare node relays.

    pip install celery-bridge fastapi uvicorn
    export BRIDGE_MESSAGE_QUEUE=redis://127.0.0.1:6379/0 BRIDGE_SECRET_KEY=...
    celery -A tasks worker & uvicorn fastapi_app:app --port 8000 &
    BRIDGE_CORS_ORIGINS=http://127.0.0.1:8000 bridge serve    # needs celery-bridge[web]

Give the node's address in NODE_URL if it isn't http://127.0.0.1:5000.
"""

import os
from html import escape
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.middleware.sessions import SessionMiddleware
from tasks import count, settings

from bridge import issue_token, submit

NODE_URL = os.environ.get("NODE_URL", "http://127.0.0.1:5000")
MINUTES_10 = 600

app = FastAPI()
app.add_middleware(
    SessionMiddleware, secret_key=settings.require_secret()[0], same_site="lax", max_age=86_400
)


def own_site(request: Request) -> None:
    """Refuse what a page of another site makes a browser send."""
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise HTTPException(403, "this request comes from another site")


def own_job(request: Request, job: str) -> str:
    """Let only those pass who started the job: this is where the permission is decided."""
    if job not in request.session.get("jobs", []):
        raise HTTPException(403, "this job is not yours")
    return job


@app.get("/", response_class=HTMLResponse)
def home() -> str:
    return '<form method="post" action="/jobs"><button>Start</button></form>'


# Plain functions, not async ones: submit() waits for the queue, so it must not hold up the loop.
@app.post("/jobs", dependencies=[Depends(own_site)])
def start(request: Request) -> RedirectResponse:
    job = submit(count, [20])
    request.session["jobs"] = [*request.session.get("jobs", []), job.id][-50:]
    return RedirectResponse(f"/jobs/{job.id}", status_code=303)


@app.get("/jobs/{job}", response_class=HTMLResponse)
def show(job: str) -> str:
    name = escape(job, quote=True)
    return (
        f'<script type="module" src="{NODE_URL}/bridge/task-progress.js"></script>'
        f'<task-progress job="{name}" token-url="/jobs/{name}/token"></task-progress>'
    )


@app.get("/jobs/{job}/token")
def token(job: Annotated[str, Depends(own_job)], response: Response) -> dict[str, str]:
    response.headers["Cache-Control"] = "no-store"
    return {"token": issue_token(job, expires=MINUTES_10)}
