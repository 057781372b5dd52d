# SPDX-License-Identifier: Apache-2.0
"""Memory of idle IMAP connections in IDLE, each with a mailbox selected: of the processes (PSS), and of the kernel by itself."""
import contextlib
import resource
import time

import corpus
import imap
import measure
from metrics import Below, Metric, TERN
from work.bench import Bench

USERS = "idle%d@example.test"
MESSAGE_SIZE = 1000
HIBERNATE_AFTER = 1  # seconds, in the peers' frugal form
FILES_SPARE = 100


class Idle(Bench):
    name = "idle"

    def __init__(self, plan, tools):
        super().__init__(plan, tools)
        self.rounds = plan.memory_rounds
        what = "idle IMAP connection"
        self.metrics = [Metric("idle.plain", what + ", plain", "KiB", False, Below(12)),
                        Metric("idle.tls", what + ", TLS", "KiB", False, Below(40)),
                        Metric("idle.frugal", what + ", plain; Dovecot hibernating", "KiB"),
                        Metric("idle.back", what + ", plain: in the other processes", "KiB"),
                        Metric("idle.kernel", what + ", plain: in the kernel, both ends", "KiB"),
                        Metric("idle.kernel.tls", what + ", TLS: in the kernel, both ends", "KiB")]

    def prepare(self, side):
        side.add_users(USERS, self.plan.idle_users)
        messages = corpus.read(corpus.sized(self.tools.mail_folder, MESSAGE_SIZE))
        imap.fill(side, [USERS % number for number in range(1, self.plan.idle_users + 1)], messages, self.plan.idle_mailbox)

    def memory(self, side):
        """KiB of the processes with connections, of the others, of the kernel."""
        if measure.is_privileged():
            measure.drop_slabs()
        return measure.pss_kib(side.front_pids()), measure.pss_kib(side.back_pids()), measure.kernel_kib()

    def per_connection(self, side, service):
        """What memory() grows by for each connection."""
        count = self.plan.idle_connections if side.name == TERN else self.plan.idle_connections_peers
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + FILES_SPARE)), hard))
        before = self.memory(side)
        with contextlib.ExitStack() as stack:
            for number in range(count):
                session = imap.Imap(side.ports[service], USERS % (1 + number % self.plan.idle_users), side.password,
                                    tls=service == "imaps")
                stack.enter_context(session)
                session.command("SELECT INBOX")
                session.idle()
                session.buffer = None
            self.settle(side)
            after = self.memory(side)
        return [(a - b) / count for a, b in zip(after, before)]

    def settle(self, side):
        """Wait until connections have put their things away, and processes that are done with theirs have gone."""
        count = None
        while count != len(side.front_pids()):
            count = len(side.front_pids())
            time.sleep(self.plan.idle_settle)

    def measure(self, side):
        self.fresh(side)
        plain, back, kernel = self.per_connection(side, "imap")
        self.fresh(side)
        tls, _, kernel_tls = self.per_connection(side, "imaps")
        result = {"idle.plain": plain, "idle.tls": tls, "idle.kernel": kernel, "idle.kernel.tls": kernel_tls, "idle.frugal": plain}
        if side.name == TERN:
            return dict(result, **{"idle.back": back})
        side.restart(hibernate=HIBERNATE_AFTER)
        self.warm_up(side)
        result["idle.frugal"] = self.per_connection(side, "imap")[0]
        side.restart()
        return result

    def fresh(self, side):
        """New processes, so that what is left of one measurement is not what the next one uses."""
        side.restart()
        self.warm_up(side)

    def warm_up(self, side):
        """What the first of all connections makes a server load does not count."""
        for service in ("imap", "imaps"):
            with imap.Imap(side.ports[service], USERS % 1, side.password, tls=service == "imaps") as session:
                session.command("SELECT INBOX")
                session.idle()
