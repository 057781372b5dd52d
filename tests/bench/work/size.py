# SPDX-License-Identifier: Apache-2.0
"""What many partitions and much mail cost: at rest, when a node starts, when one fetches all it has not."""
import os
import shutil
import subprocess
import threading
import time

import corpus
import imap
import load
import measure
from harness import wait_for  # of tests/cluster
from metrics import AtLeast, Below, Metric
from tern import Tern
from work.bench import Bench
from work.outage import wait_whole

USERS = "size%d@example.test"
STORAGES = 3
START_TIMEOUT = 120.0
COPY_TIMEOUT = 600.0


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


class Deliveries(threading.Thread):
    """A little mail, all the while: the time to 250 of each short load."""

    def __init__(self, bench, side):
        super().__init__(daemon=True)
        self.bench, self.side, self.p99, self.is_ending, self.failure = bench, side, [], False, None

    def run(self):
        try:
            while not self.is_ending:
                self.p99.append(deliver(self.bench, self.side)["p99_ms"])
        except load.LoadFailed as failure:
            self.failure = failure

    def end(self):
        self.is_ending = True
        self.join()
        if self.failure:
            raise self.failure
        return sorted(self.p99)[len(self.p99) // 2]


def deliver(bench, side):
    return load.run(bench.tools.load, "smtp", side.ports["smtp"], side, (USERS.replace("%d", "%u"), bench.plan.users), 2,
                    ("seconds", bench.plan.seconds / 2), messages=corpus.sized(bench.tools.mail_folder, 5000))


class CatchUp(Bench):
    """A node comes back with an empty disk and is sent everything, while mail flows."""
    name = "catchup"
    is_own_cluster = True
    with_peers = False

    def __init__(self, plan, tools):
        super().__init__(plan, tools)
        self.rounds = 1
        what = "a node fetches %d MB of mail anew while mail flows" % plan.catchup_megabytes
        self.metrics = [Metric("catchup.rate", what, "MB/s", True),
                        Metric("catchup.disk", "the same, of the disk's speed (write of as much, with fsync)", "times", True, AtLeast(0.6)),
                        Metric("catchup.p99", "until 250 meanwhile, 99 %, to that before", "times", goal=Below(3))]

    def _disk_rate(self):
        """MB/s of a plain write to the disk that the clusters are on."""
        path = os.path.join(self.tools.work, "disk")
        begin = time.monotonic()
        subprocess.run(["dd", "if=/dev/zero", "of=" + path, "bs=1M", "count=%d" % self.plan.catchup_megabytes, "conv=fdatasync"],
                       check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds = time.monotonic() - begin
        os.unlink(path)
        return self.plan.catchup_megabytes / seconds

    def measure(self, side):
        size, count = 50000, self.plan.catchup_megabytes * 1000000 // 50000
        with Tern(self.tools.build, self.tools.work, STORAGES, self.plan.partitions, director={"repair_after": "1s"}) as side:
            side.add_users(USERS, self.plan.users)
            load.run(self.tools.load, "smtp", side.ports["smtp"], side, (USERS.replace("%d", "%u"), self.plan.users), 10,
                     ("units", count), messages=corpus.sized(self.tools.mail_folder, size))
            before = sorted(deliver(self, side)["p99_ms"] for _ in range(3))[1]
            storage = side.cluster.storages[-1]
            storage.stop()
            shutil.rmtree(side.cluster.path("storage-%d" % STORAGES))
            disk_rate = self._disk_rate()
            deliveries = Deliveries(self, side)
            deliveries.start()
            storage.start()
            begin = time.monotonic()
            wait_for(lambda: side.cluster.ctl_json("cluster", "status")["partitions_below_copies"] == 0, COPY_TIMEOUT,
                     "all copies there", interval=0.1)
            rate = self.plan.catchup_megabytes / (time.monotonic() - begin)
            after = deliveries.end()
        return {"catchup.rate": rate, "catchup.disk": rate / disk_rate, "catchup.p99": after / before}
