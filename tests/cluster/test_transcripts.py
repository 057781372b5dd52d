# SPDX-License-Identifier: Apache-2.0
"""Plays tests/transcript/*/*.txt, each with accounts of its own. IMAP's begin with LOGIN and so need a cluster that takes it
without TLS; the others show that ours does not."""
import os
import shlex
import sys

import pytest

import harness
from conftest import run_cluster

FOLDER = os.path.join(harness.ROOT, "tests", "transcript")
sys.path.insert(0, FOLDER)
import run  # noqa: E402  tests/transcript/run.py


@pytest.fixture(scope="module")
def plaintext_cluster(build):
    yield from run_cluster(build, frontend={"allow_plaintext_auth": True})


@pytest.mark.parametrize("path", run.find_files([FOLDER]), ids=lambda path: os.path.relpath(path, FOLDER)[:-4])
def test_transcript(request, path):
    is_imap = os.path.basename(os.path.dirname(path)) == "imap"
    cluster = request.getfixturevalue("plaintext_cluster" if is_imap else "cluster")
    services = {name: ("127.0.0.1", port) for name, port in cluster.ports.items()}
    transcript = run.Transcript(path, services)
    run.make_accounts(transcript, shlex.join(cluster.ternctl), [], harness.DOMAIN)
    fault = transcript.play()
    assert fault is None, fault
