"""Fixtures: a data set that the server knows, and a manager whose runs train on workers in threads."""

from collections.abc import Iterator

import pytest

from gan.runs.manager import RunManager
from tests.cluster.threads import ThreadCluster
from tests.runs.conftest import data, endless  # noqa: F401  (fixtures)
from tests.runs.test_watch import dataset, judge, watching  # noqa: F401  (fixtures)


@pytest.fixture
def cluster() -> ThreadCluster:
    return ThreadCluster()


@pytest.fixture
def manager(data: None, cluster: ThreadCluster) -> Iterator[RunManager]:  # noqa: F811
    manager = RunManager(cluster=cluster)
    yield manager
    manager.shutdown()
