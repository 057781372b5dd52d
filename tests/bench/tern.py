# SPDX-License-Identifier: Apache-2.0
"""Tern as a side of the comparison: the cluster of real processes that tests/cluster uses, with the programs of a build."""
import concurrent.futures
import itertools
import os
import signal

import harness  # of tests/cluster
import measure
from metrics import TERN

PARTITIONS = 256  # the default of a new cluster
READY_TIMEOUT = 30.0
ACCOUNTS_AT_ONCE = 4
NUMBERS = itertools.count(1)
KEYS = os.environ.get("TERN_BENCH_KEYS", "1") != "0"  # CURVE between the programs


class Tern:
    name = TERN
    domain = harness.DOMAIN
    password = "pass"

    def __init__(self, build, folder, storages=1, partitions=PARTITIONS, director=None, storage=None, hosts=None,
                 home=None):
        """`director` and `storage` override configuration keys; `hosts` and `home` are the cluster's."""
        os.environ["TMPDIR"] = folder  # where the cluster makes its own folder
        self.group = measure.make_group("tern-bench-tern-%d" % next(NUMBERS))
        self.cluster = harness.Cluster(build, partitions=partitions, storages=storages, director=director, keys=KEYS, hosts=hosts, home=home,
                                       frontend={"allow_plaintext_auth": True, "log_level": "warn"},
                                       storage=dict({"log_level": "warn"}, **(storage or {})))
        self.folder = self.cluster.folder
        self.ports = self.cluster.ports
        self.certificate = (self.cluster.certificate, self.cluster.key)
        self.known_users = set()

    def start(self):
        self.cluster.start()
        for process in self.cluster.processes:
            self.group.add(process.pid)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        problems = self.stop()
        if problems and exception == (None, None, None):
            raise RuntimeError(problems)

    def stop(self):
        """End all processes. Problems, as text."""
        problems = self.cluster.stop()
        self.group.remove()
        return "" if problems.startswith("everything was kept") else problems

    def add_users(self, user_format, count):
        """Accounts user_format % 1 to user_format % count."""
        missing = {user_format % number for number in range(1, count + 1)} - self.known_users
        with concurrent.futures.ThreadPoolExecutor(ACCOUNTS_AT_ONCE) as pool:
            list(pool.map(lambda user: self.cluster.add_user(user, self.password), sorted(missing)))
        self.known_users |= missing

    def restart(self, **peers_settings):
        """Empty caches: new processes where the mail is read. Settings are the peers' alone."""
        for process in (self.cluster.frontend, self.cluster.storage):
            process.stop()
        for process in (self.cluster.storage, self.cluster.frontend):
            process.start(wait_ready=False)
            self.group.add(process.pid)
        for process in (self.cluster.storage, self.cluster.frontend):
            process.wait_ready()

    def settle(self):
        """An acknowledged message is in its mailbox: there is nothing to wait for."""

    def drop_index(self, user):
        """There is no index beside the mailbox that could be lost."""

    def front_pids(self):
        """The processes whose memory a connection costs."""
        return [self.cluster.frontend.pid]

    def back_pids(self):
        return [self.cluster.storage.pid, self.cluster.director.pid]

    def stop_storage(self):
        """End the storage node; the bytes it has caused to be written."""
        pid = self.cluster.storage.pid
        written = measure.written_bytes(pid)
        self.cluster.storage.signal(signal.SIGTERM)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        if measure.is_privileged():
            written = measure.written_bytes(pid)  # the dead process still tells, but not everyone
        self.cluster.storage.wait()
        return written

    def start_storage(self):
        self.cluster.storage.start()
        self.group.add(self.cluster.storage.pid)
