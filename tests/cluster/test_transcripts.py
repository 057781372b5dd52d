# SPDX-License-Identifier: Apache-2.0
"""Plays tests/transcript/*/*.txt against the shared cluster, each with accounts of its own."""
import os
import shlex
import sys

import pytest

import harness

TRIES = 3  # where the machine stood still and mail went to the queue instead of the mailbox
FOLDER = os.path.join(harness.ROOT, "tests", "transcript")
sys.path.insert(0, FOLDER)
import run  # noqa: E402  tests/transcript/run.py


@pytest.mark.parametrize("path", run.find_files([FOLDER]), ids=lambda path: os.path.relpath(path, FOLDER)[:-4])
def test_transcript(cluster, path):
    services = {name: ("127.0.0.1", port) for name, port in cluster.ports.items()}
    for _ in range(TRIES):
        transcript = run.Transcript(path, services)
        run.make_accounts(transcript, shlex.join(cluster.ternctl), [], harness.DOMAIN)
        fault = transcript.play()
        if fault is None or "250 2.0.0 queued" not in fault:
            break
    assert fault is None, fault
