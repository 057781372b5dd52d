# SPDX-License-Identifier: Apache-2.0
"""The harness itself."""
import os
import subprocess
import sys

RUNS, PORTS = 4, 250

TAKE = """
import harness
print(*[harness.free_port() for _ in range(%d)], flush=True)
input()  # holds them until it is told to end
""" % PORTS


def test_runs_share_no_ports():
    """Clusters of several runs at once never take each other's ports, also while nobody listens on them."""
    here = os.path.dirname(os.path.abspath(__file__))
    runs = [subprocess.Popen([sys.executable, "-B", "-c", TAKE], cwd=here, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for _ in range(RUNS)]
    try:
        ports = [port for run in runs for port in run.stdout.readline().split()]
    finally:
        for run in runs:
            run.communicate("\n")
    assert len(ports) == RUNS * PORTS
    assert len(set(ports)) == len(ports)
