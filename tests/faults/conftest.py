"""One stack for each module of cells, and what a cell does with it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.faults.cell import LONG, Cell
from tests.faults.stack import SERVERS, Stack, running_stack

#: `make faults` runs every cell on each of these.
CHOSEN = os.environ.get("FAULTS_SERVERS", "redis-7").split()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long faults need long tests."""
    for item in items:
        if LONG and item.get_closest_marker("cell") is not None:
            item.add_marker(pytest.mark.timeout(400))


@pytest.fixture(scope="module", params=CHOSEN)
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Two nodes and no worker yet, on a lease of two seconds."""
    folder = tmp_path_factory.mktemp("faults")
    with running_stack(folder, SERVERS[request.param]) as made:
        yield made


@pytest.fixture(scope="module")
def worker(stack: Stack) -> object:
    """A prefork worker that no cell of the module may hurt."""
    return stack.start_worker()


@pytest.fixture
def cell(request: pytest.FixtureRequest, stack: Stack) -> Iterator[Cell]:
    """This cell of the matrix; afterwards its clients are gone and its wires are whole."""
    marker = request.node.get_closest_marker("cell")
    assert marker is not None, "a cell has @pytest.mark.cell(column, name)"
    made = Cell(stack, *marker.args)
    yield made
    made.close()
