"""docker/: the images' install and start commands, run here; their files, looked at."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.conftest import free_port, missing, redis_server_or_skip, wait_until
from tests.deployments.images import DOCKERFILE, ROOT, Builder, in_image, stages
from tests.deployments.ways import BIN
from tests.nodes import SECRET

DOCKER = ROOT / "docker"
IMAGES = ("worker", "web")


def test_the_dockerfile_is_linted() -> None:
    done = subprocess.run([BIN / "hadolint", DOCKERFILE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_runs_as_a_user_without_rights_and_tells_its_health(name: str) -> None:
    stage = stages(DOCKERFILE.read_text())[name]
    assert stage.last("USER").isdigit()
    assert stage.last("USER") != "0"
    assert stage.command()
    assert stage.command("HEALTHCHECK")
    assert stage.base.startswith("python:"), "nothing that was needed to build stays"


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DOCKER / "compose.yaml").read_text()))


def test_what_is_composed_fits_together() -> None:
    services = compose()["services"]
    assert {"redis", "worker", "web-1", "web-2", "nginx", "rabbitmq"} == set(services)
    for name, service in services.items():
        healthy = "healthcheck" in service or service.get("build", {}).get("target") in IMAGES
        assert healthy, f"{name} tells its health"
    servers = re.findall(r"server ([\w-]+):(\d+);", (DOCKER / "nginx" / "nodes.conf").read_text())
    assert servers == [("web-1", "5000"), ("web-2", "5000")]
    assert services["nginx"]["volumes"] == ["./nginx:/etc/nginx/bridge:ro"], "as tests ran them"
    mounted = services["nginx"]["command"]
    assert (DOCKER / "nginx" / Path(mounted[mounted.index("-c") + 1]).name).is_file()
    assert services["worker"]["deploy"]["replicas"] == 2
    assert services["rabbitmq"]["profiles"] == ["rabbitmq"]


@pytest.mark.deployments
@pytest.mark.parametrize("profile", [[], ["--profile", "rabbitmq"]], ids=["redis", "rabbitmq"])
def test_docker_compose_reads_it(profile: list[str]) -> None:
    commands = (["docker", "compose"], ["docker-compose"])
    able = [c for c in commands if shutil.which(c[0]) and run([*c, "version"]).returncode == 0]
    if not able:
        missing("docker compose", "apt-get install docker-compose")
    done = run([*able[0], "-f", str(DOCKER / "compose.yaml"), *profile, "config", "--quiet"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "BRIDGE_SECRET_KEY": SECRET, "RABBITMQ_PASSWORD": "secret"}
    return subprocess.run(command, capture_output=True, text=True, timeout=30, env=environ)


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return Builder(tmp_path_factory.mktemp("images"))


@pytest.mark.deployments
@pytest.mark.timeout(500)
def test_the_worker_has_no_web_server_in_it(builder: Builder) -> None:
    root = builder.build("worker")
    pip = in_image(root, ["pip", "list", "--format=freeze"])
    listed = subprocess.run(pip, capture_output=True, text=True, check=True)
    names = {line.partition("==")[0] for line in listed.stdout.splitlines()}
    assert "celery-bridge" in names
    assert names.isdisjoint({"eventlet", "gevent", "gunicorn", "pytest"})


@pytest.mark.deployments
@pytest.mark.timeout(500)
def test_the_images_start_and_run_a_job(builder: Builder, tmp_path: Path) -> None:
    redis = redis_server_or_skip(tmp_path)
    port = free_port()
    environ = {
        "BRIDGE_MESSAGE_QUEUE": redis.url, "BRIDGE_CHANNEL": uuid.uuid4().hex,
        "BRIDGE_SECRET_KEY": SECRET, "BRIDGE_PORT": str(port), "DEMO_UPLOADS": str(tmp_path / "up"),
    }  # fmt: skip
    found = stages(DOCKERFILE.read_text())
    with ExitStack() as running:
        running.callback(redis.stop)
        for name in IMAGES:
            root = builder.build(name)
            seen = {**builder.environment(root), **environ}
            running.enter_context(started(root, found[name].command(), seen, tmp_path / name))
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{url}/readyz"), seconds=40, what=f"the web node: {tmp_path}")
        job = requests.post(
            f"{url}/demo/jobs/metronome", json={"steps": 5, "interval": 0.01}
        ).json()
        headers = {"Authorization": f"Bearer {job['token']}"}

        def has_ended() -> bool:
            answer = requests.get(f"{url}/bridge/jobs/{job['job']}", headers=headers, timeout=30)
            return bool(answer.json()["snapshot"]["state"] == "SUCCESS")

        wait_until(has_ended, seconds=60, what=f"the worker: {tmp_path}")
        for name in IMAGES:
            root = builder.build(name)
            words = [w.replace("5000", str(port)) for w in found[name].command("HEALTHCHECK")]
            seen = {**builder.environment(root), **environ}
            done = subprocess.run(
                in_image(root, words), env=seen, cwd=root / "srv", capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr


@contextmanager
def started(root: Path, words: list[str], environ: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as stream:
        process = subprocess.Popen(
            in_image(root, words), env=environ, cwd=root / "srv", stdout=stream,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=30).status_code == 200
    except requests.RequestException:
        return False
