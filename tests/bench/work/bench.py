# SPDX-License-Identifier: Apache-2.0
"""What all benches share."""
import time


class Bench:
    name = None
    is_own_cluster = False  # makes its clusters of Tern itself
    with_peers = True

    def __init__(self, plan, tools):
        """`tools` has the load client's path (`load`), a folder for made-up mail (`mail_folder`), and of Tern the
        programs' build (`build`) and a folder for clusters (`work`)."""
        self.plan, self.tools = plan, tools
        self.rounds = plan.rounds
        self.metrics = []

    def prepare(self, side):
        """Once a side, before the first round."""

    def measure(self, side):
        raise NotImplementedError


class Watch:
    """Wall-clock and CPU time of a side between begin and end of a `with`, in ms."""

    def __init__(self, side):
        self.side = side

    def __enter__(self):
        self.cpu = self.side.group.cpu_seconds()
        self.begin = time.perf_counter()
        return self

    def __exit__(self, *exception):
        self.wall_ms = (time.perf_counter() - self.begin) * 1e3
        self.cpu_ms = (self.side.group.cpu_seconds() - self.cpu) * 1e3
