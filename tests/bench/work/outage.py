# SPDX-License-Identifier: Apache-2.0
"""How long a user is without service when a storage node dies, and when it is stopped in order."""
import statistics
import time

import imap
from disk import Syncs
from harness import wait_for  # of tests/cluster
from metrics import Below, Metric
from probe import Probes
from tern import Tern
from work.bench import Bench

USERS = "outage%d@example.test"
STORAGES = 3
WATCHED_MAX = 8  # users who are probed at a time: the clients must not become the load
WHOLE_TIMEOUT = 60.0


def primaries(side, users):
    """Users by the storage process that leads their partition."""
    names = {node["id"]: node["name"] for node in side.cluster.ctl_json("node", "list")}
    found = {storage: [] for storage in side.cluster.storages}
    for user in users:
        name = names[side.cluster.ctl_json("partition", "show", user)["primary"]]
        found[side.cluster.storages[int(name[1:]) - 1]].append(user)
    return found


def wait_whole(side):
    wait_for(lambda: side.cluster.ctl_json("cluster", "status")["healthy"], WHOLE_TIMEOUT, "all copies there")


class Outage(Bench):
    """Each round makes a cluster and takes away each of its nodes in turn, users of that node being probed."""
    is_own_cluster = True
    with_peers = False

    def __init__(self, plan, tools):
        super().__init__(plan, tools)
        self.rounds = plan.memory_rounds

    def measure(self, side):
        users = [USERS % number for number in range(1, self.plan.outage_users + 1)]
        gaps, syncs = [], []
        with Tern(self.tools.build, self.tools.work, STORAGES, self.plan.partitions) as side:
            side.add_users(USERS, len(users))
            imap.fill(side, users, [b"Subject: probe\r\n\r\nHere.\r\n"], 1)
            leads = primaries(side, users)
            for storage in sorted(leads, key=lambda storage: -len(leads[storage]))[:self.plan.outages]:
                found = primaries(side, users)[storage][:WATCHED_MAX]
                with Probes(side, found) as probes, Syncs(side.folder) as machine:
                    since = time.monotonic()
                    self.take_away(storage)
                    time.sleep(self.plan.outage_seconds)
                    gaps += probes.gaps(since)
                syncs.append(machine.longest)
                storage.wait()
                storage.start()
                wait_whole(side)
        return self.result([gap * 1e3 for gap in gaps], max(syncs) * 1e3)


class Failover(Outage):
    name = "failover"

    def __init__(self, plan, tools):
        super().__init__(plan, tools)
        what = "kill -9 of a storage node, until its users read and write again"
        self.metrics = [Metric("failover.median", what + ": median", "ms", goal=Below(2000)),
                        Metric("failover.worst", what + ": worst", "ms", goal=Below(3500), is_worst=True)]

    def take_away(self, storage):
        storage.may_fail = True
        storage.kill()

    def result(self, gaps, sync):
        return {"failover.median": statistics.median(gaps), "failover.worst": max(gaps)}


class Handover(Outage):
    name = "handover"

    def __init__(self, plan, tools):
        super().__init__(plan, tools)
        what = "storage node stopped in order, its users without service"
        # A hand-over waits for syncs, and so does each write after it, which is measured, too: on a disk that others keep
        # busy the worst tells of them.
        self.metrics = [Metric("handover.median", what + ": median", "ms"),
                        Metric("handover.worst", what + ": worst", "ms", goal=Below(300), is_worst=True),
                        Metric("handover.sync", "longest sync of 4 KiB beside it, without Tern", "ms", is_worst=True)]

    def take_away(self, storage):
        storage.stop()

    def result(self, gaps, sync):
        return {"handover.median": statistics.median(gaps), "handover.worst": max(gaps), "handover.sync": sync}
