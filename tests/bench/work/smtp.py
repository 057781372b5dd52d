# SPDX-License-Identifier: Apache-2.0
"""Mail in over SMTP, counted when it is durable in its mailbox: with Tern when 250 comes, with Postfix when its queue is empty."""
import time

import corpus
import imap
import load
from metrics import Metric, Times
from work.bench import Bench, Watch

USERS = "smtp%d@example.test"
ARRIVE_MAX = 60.0  # seconds, of what Tern has queued because a partition was away for a moment


def total_messages(side, count):
    """Messages in all INBOXes."""
    total = 0
    for number in range(1, count + 1):
        with imap.Imap(side.ports["imap"], USERS % number, side.password) as session:
            total += session.message_count()
    return total


def check_arrived(side, users, before, sent):
    end = time.monotonic() + ARRIVE_MAX
    while True:
        arrived = total_messages(side, users) - before
        if arrived == sent:
            return
        if arrived > sent or time.monotonic() > end:
            raise load.LoadFailed("%s: %d messages arrived of %d" % (side.name, arrived, sent))
        time.sleep(0.5)


class Smtp(Bench):
    name = "smtp"

    def __init__(self, plan, tools):
        super().__init__(plan, tools)
        for size, sessions in plan.smtp_shapes:
            what = "SMTP in, %d KB, %d sessions" % (size // 1000, sessions)
            self.metrics += [Metric(self.key(size, sessions, "rate"), what, "messages/s", True, Times(5)),
                             Metric(self.key(size, sessions, "cpu"), what + ": CPU", "ms a message", False, Times(5)),
                             Metric(self.key(size, sessions, "p50"), what + ": until 250, median", "ms"),
                             Metric(self.key(size, sessions, "p99"), what + ": until 250, 99 %", "ms")]

    def key(self, size, sessions, what):
        return "smtp.%dk.c%d.%s" % (size // 1000, sessions, what)

    def prepare(self, side):
        side.add_users(USERS, self.plan.users)

    def measure(self, side):
        result = {}
        for size, sessions in self.plan.smtp_shapes:
            folder = corpus.sized(self.tools.mail_folder, size)
            before = total_messages(side, self.plan.users)
            with Watch(side) as watch:
                report = load.run(self.tools.load, "smtp", side.ports["smtp"], side, (USERS.replace("%d", "%u"), self.plan.users),
                                  sessions, ("seconds", self.plan.seconds), messages=folder)
                side.settle()
            check_arrived(side, self.plan.users, before, report["units"])
            result[self.key(size, sessions, "rate")] = report["units"] / (watch.wall_ms / 1e3)
            result[self.key(size, sessions, "cpu")] = watch.cpu_ms / report["units"]
            result[self.key(size, sessions, "p50")] = report["p50_ms"]
            result[self.key(size, sessions, "p99")] = report["p99_ms"]
        return result
