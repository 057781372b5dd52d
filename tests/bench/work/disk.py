# SPDX-License-Identifier: Apache-2.0
"""Bytes written to disk for each byte of mail that comes in by SMTP, up to the point where nothing is left to be written."""
import os

import corpus
import load
import measure
from metrics import Below, Metric, TERN
from work.bench import Bench

USERS = "disk%d@example.test"
MESSAGE_SIZE = 50000
SESSIONS = 10


class Disk(Bench):
    name = "disk"

    def __init__(self, plan, tools):
        super().__init__(plan, tools)
        self.rounds = plan.memory_rounds
        what = "written to disk a byte of mail, 50 KB"
        self.metrics = [Metric("disk.process", what + ", by the storage node", "bytes", False, Below(2.6)),
                        Metric("disk.device", what + ", to the device", "bytes")]

    def prepare(self, side):
        side.add_users(USERS, self.plan.users)

    def measure(self, side):
        folder = corpus.sized(self.tools.mail_folder, MESSAGE_SIZE)
        sizes = [os.path.getsize(os.path.join(folder, name)) for name in sorted(os.listdir(folder))]
        process = -measure.written_bytes(side.cluster.storage.pid) if side.name == TERN else 0
        device = -measure.device_written_bytes(side.folder)
        load.run(self.tools.load, "smtp", side.ports["smtp"], side, (USERS.replace("%d", "%u"), self.plan.users), SESSIONS,
                 ("units", self.plan.disk_messages), messages=folder)
        side.settle()
        if side.name == TERN:
            # What is in memory and the log only is written where it stays when the database is opened again.
            process += side.stop_storage()
            side.start_storage()
            process += measure.written_bytes(side.cluster.storage.pid)
        device += measure.device_written_bytes(side.folder)
        mail = sum(sizes[number % len(sizes)] for number in range(self.plan.disk_messages))
        result = {"disk.device": device / mail}
        return dict(result, **{"disk.process": process / mail}) if side.name == TERN else result
