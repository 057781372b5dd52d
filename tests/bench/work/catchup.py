# SPDX-License-Identifier: Apache-2.0
"""A node comes back with an empty disk and is sent everything, while mail flows: how fast, and what the mail notices of it."""
import os
import shutil
import signal
import subprocess
import time

import corpus
import hosts
import load
import measure
from harness import wait_for
from metrics import AtLeast, Below, Metric
from tern import Tern
from work.bench import Bench

USERS = "copied%d@example.test"
STORAGES = 3
FILL_SIZE, FILL_SESSIONS = 50000, 10
SIZE, SESSIONS = 5000, 2  # of the mail that flows
TIMEOUT = 600.0
LINK_MBIT = 1000
LINK_RATE = LINK_MBIT / 8  # MB/s
DIRECTOR = {"repair_after": "1s"}


class CatchUp(Bench):
    """All on this machine: what is short is whatever is short first."""
    name = "catchup"
    is_own_cluster = True
    with_peers = False
    where = "all on one machine"

    def __init__(self, plan, tools):
        super().__init__(plan, tools)
        self.rounds = 1
        what = "a node fetches %d MB of mail anew while mail flows, %s" % (plan.catchup_megabytes, self.where)
        self.metrics = [Metric(self.name + ".rate", what, "MB/s", True), self.share(),
                        Metric(self.name + ".before", "until 250 before, 99 %", "ms"),
                        Metric(self.name + ".before_messages", "the same: of so many messages", "messages"),
                        Metric(self.name + ".p99", "until 250 meanwhile, 99 %, to that before", "times", goal=Below(3)),
                        Metric(self.name + ".messages", "the same: of so many messages", "messages")]

    def share(self):
        return Metric(self.name + ".share", "the same, of the disk's speed (write of as much, with fsync)", "times", True, AtLeast(0.6))

    def speed(self):
        """MB/s of a plain write to the disk that the clusters are on."""
        path = os.path.join(self.tools.work, "disk")
        begin = time.monotonic()
        subprocess.run(["dd", "if=/dev/zero", "of=" + path, "bs=1M", "count=%d" % self.plan.catchup_megabytes, "conv=fdatasync"],
                       check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds = time.monotonic() - begin
        os.unlink(path)
        return self.plan.catchup_megabytes / seconds

    def cluster(self):
        return Tern(self.tools.build, self.tools.work, STORAGES, self.plan.partitions, director=DIRECTOR)

    def _load(self, side, size, sessions, amount):
        return load.start(self.tools.load, "smtp", side.ports["smtp"], side, (USERS.replace("%d", "%u"), self.plan.users), sessions,
                          amount, messages=corpus.sized(self.tools.mail_folder, size))

    def _fetch(self, side, storage):
        """Seconds until the node that lost its disk has everything, and what the mail that flows all the while reports."""
        mail = self._load(side, SIZE, SESSIONS, ("seconds", TIMEOUT))
        try:
            storage.start()
            begin = time.monotonic()
            wait_for(lambda: side.cluster.ctl_json("cluster", "status")["partitions_below_copies"] == 0, TIMEOUT, "all copies there",
                     interval=0.25)
            seconds = time.monotonic() - begin
        finally:
            mail.send_signal(signal.SIGINT)
            report = load.finish(mail, side)
        return seconds, report

    def measure(self, side):
        with self.cluster() as side:
            side.add_users(USERS, self.plan.users)
            count = self.plan.catchup_megabytes * 1000000 // FILL_SIZE
            load.finish(self._load(side, FILL_SIZE, FILL_SESSIONS, ("units", count)), side)
            time.sleep(self.plan.catchup_seconds / 5)  # for what is still to be written out
            before = load.finish(self._load(side, SIZE, SESSIONS, ("seconds", self.plan.catchup_seconds)), side)
            storage = side.cluster.storages[-1]
            storage.stop()
            shutil.rmtree(side.cluster.path("storage-%d" % STORAGES))
            speed = self.speed()
            seconds, after = self._fetch(side, storage)
        rate = self.plan.catchup_megabytes / seconds
        values = {"rate": rate, "share": rate / speed, "before": before["p99_ms"], "before_messages": before["units"],
                  "p99": after["p99_ms"] / before["p99_ms"], "messages": after["units"]}
        return {"%s.%s" % (self.name, key): value for key, value in values.items()}


class CatchUpHosts(CatchUp):
    """Each storage node on a host with a link of its own. The hosts still share the machine's disk and processors. Needs root."""
    name = "catchup-hosts"
    where = "each node behind a link of %d Mbit/s" % LINK_MBIT

    def share(self):
        return Metric(self.name + ".share", "the same, of the link's speed", "times", True, AtLeast(0.6))

    def speed(self):
        return LINK_RATE

    def cluster(self):
        return hosts.cluster(self.tools.build, self.tools.work, STORAGES, self.plan.partitions, LINK_MBIT, director=DIRECTOR)

    def measure(self, side):
        return super().measure(side) if measure.is_privileged() else {}
