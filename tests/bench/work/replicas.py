# SPDX-License-Identifier: Apache-2.0
"""Mail in when every message is on three nodes before its 250, and what a replica costs as nodes are added."""
import corpus
import load
import measure
from metrics import Below, Metric, TERN, Times
from tern import Tern
from work.bench import Bench, Watch

USERS = "replica%d@example.test"
MESSAGE_SIZE = 5000
SESSIONS = 50
COPIES_MAX = 3
NODES = (1, 3, 6)


def send(bench, side, sessions=SESSIONS):
    return load.run(bench.tools.load, "smtp", side.ports["smtp"], side, (USERS.replace("%d", "%u"), bench.plan.users), sessions,
                    ("seconds", bench.plan.seconds), messages=corpus.sized(bench.tools.mail_folder, MESSAGE_SIZE))


class Replicas(Bench):
    """The peers keep one copy."""
    name = "replicas"
    is_own_cluster = True

    def __init__(self, plan, tools):
        super().__init__(plan, tools)
        what = "SMTP in, 5 KB, 50 sessions, on three nodes of one machine (peers: one copy)"
        self.metrics = [Metric("replicas.rate", what, "messages/s", True, Times(3)),
                        Metric("replicas.cpu", what + ": CPU", "ms a message"),
                        Metric("replicas.p99", what + ": until 250, 99 %", "ms")]

    def prepare(self, side):
        if side.name != TERN:
            side.add_users(USERS, self.plan.users)

    def _measure(self, side):
        with Watch(side) as watch:
            report = send(self, side)
            side.settle()
        return {"replicas.rate": report["units"] / (watch.wall_ms / 1e3), "replicas.cpu": watch.cpu_ms / report["units"],
                "replicas.p99": report["p99_ms"]}

    def measure(self, side):
        if side.name != TERN:
            return self._measure(side)
        with Tern(self.tools.build, self.tools.work, COPIES_MAX, self.plan.partitions) as side:
            side.add_users(USERS, self.plan.users)
            return self._measure(side)


class Scale(Bench):
    """With as many sessions as give each node the same share: a node that has less to do gathers less in a commit."""
    name = "scale"
    is_own_cluster = True
    with_peers = False

    def __init__(self, plan, tools):
        super().__init__(plan, tools)
        self.rounds = plan.memory_rounds
        self.nodes = NODES[:plan.scale_steps]
        self.metrics = [Metric("scale.%d" % nodes, "storage nodes' CPU a message and replica, %d node%s" % (nodes, "s"[:nodes > 1]),
                               "ms") for nodes in self.nodes]
        self.metrics.append(Metric("scale.spread", "the same, the dearest to the cheapest", "times", goal=Below(1.15)))

    def _measure(self, nodes):
        copies = min(nodes, COPIES_MAX)
        with Tern(self.tools.build, self.tools.work, nodes, self.plan.partitions, director={"copies": copies}) as side:
            side.add_users(USERS, self.plan.users)
            processes = measure.Processes()
            for storage in side.cluster.storages:
                processes.add(storage.pid)
            before = processes.cpu_seconds()
            report = send(self, side, SESSIONS * nodes // copies)
            return (processes.cpu_seconds() - before) * 1e3 / report["units"] / copies

    def measure(self, side):
        result = {"scale.%d" % nodes: self._measure(nodes) for nodes in self.nodes}
        return dict(result, **{"scale.spread": max(result.values()) / min(result.values())})
