# SPDX-License-Identifier: Apache-2.0
import signal

import pytest

import harness
import wire


def pytest_addoption(parser):
    parser.addoption("--build", default="build/test", help="folder of the build whose bin/ has the programs")


def pytest_configure(config):
    """SIGTERM ends the tests as Ctrl-C does: the clusters are stopped and their folders removed."""
    def interrupt(number, frame):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupt)


@pytest.fixture(scope="session")
def build(request):
    return request.config.getoption("--build")


def run_cluster(build, **options):
    """A started cluster for a fixture; its logs are judged when it ends."""
    with harness.started(build, **options) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def cluster(build):
    """The cluster that most tests share. Nobody kills its processes or fills its disk."""
    yield from run_cluster(build)


@pytest.fixture(scope="module")
def own_cluster(build):
    """A cluster for one file's tests to kill and restart."""
    yield from run_cluster(build)


@pytest.fixture
def user(cluster):
    return cluster.add_user()


@pytest.fixture
def other(cluster):
    return cluster.add_user()


@pytest.fixture
def imap(cluster, user):
    """A logged-in IMAP connection of `user`."""
    with wire.Imap(cluster, user) as session:
        yield session
