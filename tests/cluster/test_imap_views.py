# SPDX-License-Identifier: Apache-2.0
"""P3: random sessions of one account agree on what they were told of their mailbox."""
import ssl

import pytest

import harness
import imap_views


@pytest.mark.parametrize("seed", range(1, 4))
def test_sessions_agree(cluster, seed):
    user = cluster.add_user()
    context = ssl.create_default_context(cafile=cluster.authority.file)
    context.check_hostname = False
    address = ("127.0.0.1", cluster.ports["imaps"])
    fault = imap_views.play(address, user, harness.PASSWORD, seed, session_count=3, steps=300, context=context)
    assert fault is None, fault
