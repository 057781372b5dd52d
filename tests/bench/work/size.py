# SPDX-License-Identifier: Apache-2.0
"""What many partitions and much mail cost: at rest, and when a node starts."""
import time

import corpus
import imap
import load
import measure
from harness import wait_for  # of tests/cluster
from metrics import Below, Metric
from tern import Tern
from work.bench import Bench
from work.outage import wait_whole

USERS = "size%d@example.test"
STORAGES = 3
START_TIMEOUT = 120.0


class Rest(Bench):
    name = "rest"
    is_own_cluster = True
    with_peers = False

    def __init__(self, plan, tools):
        super().__init__(plan, tools)
        self.rounds = plan.memory_rounds
        what = "a node of three with %s partitions, at rest" % format(plan.rest_partitions, ",")
        self.metrics = [Metric("rest.cpu", what + ": CPU", "% of a core", goal=Below(2), is_worst=True),
                        Metric("rest.memory", what + ": memory (PSS)", "MiB", goal=Below(64), is_worst=True)]

    def measure(self, side):
        with Tern(self.tools.build, self.tools.work, STORAGES, self.plan.rest_partitions) as side:
            wait_whole(side)
            time.sleep(self.plan.rest_seconds / 2)
            before = [self._cpu(storage) for storage in side.cluster.storages]
            time.sleep(self.plan.rest_seconds)
            used = [self._cpu(storage) - was for storage, was in zip(side.cluster.storages, before)]
            memory = [measure.pss_kib([storage.pid]) / 1024 for storage in side.cluster.storages]
        return {"rest.cpu": 100 * max(used) / self.plan.rest_seconds, "rest.memory": max(memory)}

    def _cpu(self, storage):
        processes = measure.Processes()
        processes.add(storage.pid)
        return processes.cpu_seconds()


class Start(Bench):
    """After a kill -9, with everything that the write-ahead log had still to hold."""
    name = "start"
    is_own_cluster = True
    with_peers = False

    def __init__(self, plan, tools):
        super().__init__(plan, tools)
        self.rounds = 1
        self.metrics = [Metric("start.ready", "start of a node with %s messages after kill -9, until it serves"
                               % format(plan.start_users * plan.start_messages, ","), "s", goal=Below(5))]

    def _fill(self, side, users):
        """Different messages first, then copies of them."""
        first = self.plan.start_messages // 16
        imap.fill(side, users, corpus.read(corpus.sized(self.tools.mail_folder, 2000)), first)
        for user in users:
            with imap.Imap(side.ports["imap"], user, side.password) as session:
                session.command("SELECT INBOX")
                count = first
                while count < self.plan.start_messages:
                    more = min(count, self.plan.start_messages - count)
                    session.command("COPY 1:%d INBOX" % more)
                    count += more

    def measure(self, side):
        users = [USERS % number for number in range(1, self.plan.start_users + 1)]
        with Tern(self.tools.build, self.tools.work) as side:
            side.add_users(USERS, len(users))
            self._fill(side, users)
            storage = side.cluster.storage
            storage.may_fail = True
            storage.kill()
            begin = time.monotonic()
            storage.start(wait_ready=False)
            wait_for(storage.is_ready, START_TIMEOUT, "node ready", interval=0.02)
            seconds = time.monotonic() - begin
            with imap.Imap(side.ports["imap"], users[0], side.password) as session:
                if session.message_count() != self.plan.start_messages:
                    raise load.LoadFailed("messages are missing after the start")
        return {"start.ready": seconds}
