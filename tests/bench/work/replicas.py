# SPDX-License-Identifier: Apache-2.0
"""Mail in when every message is on three nodes before its 250, and what a replica costs as nodes are added."""
import corpus
import hosts
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


def send(bench, side, sessions=SESSIONS, seconds=None, **options):
    return load.run(bench.tools.load, "smtp", side.ports["smtp"], side, (USERS.replace("%d", "%u"), bench.plan.users), sessions,
                    ("seconds", seconds or bench.plan.seconds), messages=corpus.sized(bench.tools.mail_folder, MESSAGE_SIZE), **options)


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
    """With an even load, as much for each node however many there are; and with all that the machine can do, of which a node
    then gets less the more nodes there are."""
    name = "scale"
    is_own_cluster = True
    with_peers = False

    def __init__(self, plan, tools):
        super().__init__(plan, tools)
        self.nodes = NODES[:plan.scale_steps]
        even = "%d copies a second for each storage node" % plan.scale_copies
        self.metrics = [self._metric("scale.%d", even + ", %s: CPU of a copy", nodes, "ms") for nodes in self.nodes]
        self.metrics.append(Metric("scale.spread", "the same, the dearest to the cheapest", "times", goal=Below(1.15)))
        self.metrics += [self._metric("scale.syncs.%d", even + ", %s: syncs to disk a copy", nodes, "") for nodes in self.nodes]
        for nodes in self.nodes:
            full = "as much as the machine can, %s: "
            self.metrics += [self._metric("scale.full.rate.%d", full + "messages", nodes, "messages/s"),
                             self._metric("scale.full.%d", full + "CPU of a copy", nodes, "ms"),
                             self._metric("scale.full.syncs.%d", full + "syncs to disk a copy", nodes, "")]

    @staticmethod
    def _metric(key, title, nodes, unit):
        return Metric(key % nodes, title % ("%d node%s" % (nodes, "s"[:nodes > 1])), unit)

    def _cluster(self, nodes):
        make = hosts.cluster if measure.is_privileged() else Tern
        return make(self.tools.build, self.tools.work, nodes, self.plan.partitions, director={"copies": min(nodes, COPIES_MAX)})

    def _send(self, side, copies, *arguments, **options):
        """The load's report, and CPU (ms) and syncs of a copy at the storage nodes."""
        processes = measure.Processes()
        for storage in side.cluster.storages:
            processes.add(storage.pid)
        cpu, syncs = processes.cpu_seconds(), sum(storage.metric("tern_log_syncs_total") for storage in side.cluster.storages)
        report = send(self, side, *arguments, **options)
        count = report["units"] * copies
        return (report, (processes.cpu_seconds() - cpu) * 1e3 / count,
                (sum(storage.metric("tern_log_syncs_total") for storage in side.cluster.storages) - syncs) / count)

    def _measure(self, nodes):
        copies = min(nodes, COPIES_MAX)
        rate = self.plan.scale_copies * nodes / copies
        with self._cluster(nodes) as side:
            side.add_users(USERS, self.plan.users)
            send(self, side, seconds=self.plan.seconds / 4, rate=rate)  # connections, first rows
            report, cpu, syncs = self._send(side, copies, seconds=self.plan.scale_seconds, rate=rate)
            carried = report["units"] / report["seconds"]
            if carried < rate * self.plan.scale_carried:
                raise load.LoadFailed("of %.0f messages a second %d nodes carried %.0f: CPU at that load says nothing" %
                                      (rate, nodes, carried))
            full, full_cpu, full_syncs = self._send(side, copies, SESSIONS * nodes // copies)
        return {"scale.%d" % nodes: cpu, "scale.syncs.%d" % nodes: syncs, "scale.full.%d" % nodes: full_cpu,
                "scale.full.rate.%d" % nodes: full["units"] / full["seconds"], "scale.full.syncs.%d" % nodes: full_syncs}

    def measure(self, side):
        result = {}
        for nodes in self.nodes:
            result.update(self._measure(nodes))
        even = [result["scale.%d" % nodes] for nodes in self.nodes]
        return dict(result, **{"scale.spread": max(even) / min(even)})
