# SPDX-License-Identifier: Apache-2.0
"""What a user notices: for each sampled account one session that writes a number and one that reads it, 20 times a second each, by
whichever front-end is up; and for every other one, one that sends it mail. They measure the times without service, and find
stale reads: the number is the account's one register.

The number is kept modulo 1024 in ten keywords of the account's first message. A write that was not acknowledged may take effect at
any later moment; all others count from the moment of their acknowledgement, for every reader."""
import threading
import time

from . import front, history
from .clients import INTERRUPTED

INTERVAL = 0.05
SEND_INTERVAL = 0.5
BITS = 10
MODULO = 1 << BITS
GAP_MIN = 0.25  # seconds; shorter ones are not written down
KEYWORDS = ["$Bit%d" % bit for bit in range(BITS)]


class Register:
    """What the account's number may be."""

    def __init__(self):
        self.tried, self.acknowledged, self.doubtful = 0, 0, set()

    def may_be(self, value, at_least):
        """Whether a read that began when `at_least` had been acknowledged may see this value."""
        return at_least + (value - at_least) % MODULO <= self.tried or value in {n % MODULO for n in self.doubtful}


class Probe(threading.Thread):
    """One session of kind "read" or "write"."""

    interval = INTERVAL

    def __init__(self, balancer, log, account, register, kind):
        super().__init__(name="%s:%s" % (kind, account))
        self.balancer, self.log, self.account, self.register, self.kind = balancer, log, account, register, kind
        self.stopping, self.count = False, 0
        self.waiting = None  # since when service is missing

    def run(self):
        session = None
        while not self.stopping:
            self.waiting = self.waiting or time.monotonic()
            try:
                if session is None or not session.cluster.is_up:
                    session = self.connect(self.balancer.pick())
                getattr(self, self.kind)(session)
            except INTERRUPTED:
                if session is not None:
                    session.close()
                session = None
                time.sleep(INTERVAL)
                continue
            begun, self.waiting, self.count = self.waiting, None, self.count + 1
            took = time.monotonic() - begun
            if took > GAP_MIN:
                self.log.add("gap", begun, a=self.account, op=self.kind)
            time.sleep(max(0.0, self.interval - took))
        if self.waiting:
            self.log.add("gap", self.waiting, a=self.account, op=self.kind, open=True)

    def connect(self, where):
        return front.Imap(where, self.account, select="INBOX")

    def write(self, imap):
        register = self.register
        register.tried += 1
        value = register.tried
        register.doubtful.add(value)
        flags = " ".join(KEYWORDS[bit] for bit in range(BITS) if value >> bit & 1)
        imap.command("UID STORE 1 FLAGS.SILENT (%s)" % flags)
        register.acknowledged = value
        register.doubtful.discard(value)

    def read(self, imap):
        at_least = self.register.acknowledged
        rows = imap.fetch("1", "(FLAGS)", uid=True)
        if 1 not in rows:
            self.log.bad("%s: its message is gone" % self.account)
            return
        flags = rows[1]["FLAGS"]
        value = sum(1 << bit for bit in range(BITS) if KEYWORDS[bit].encode() in flags)
        if at_least and not self.register.may_be(value, at_least):
            self.log.bad("%s: a stale read: %d, when %d (modulo %d) had been acknowledged" % (
                self.account, value, at_least % MODULO, MODULO))


class Sender(Probe):
    """Kind "send": mail from outside, which must be taken."""

    interval = SEND_INTERVAL

    def connect(self, where):
        return front.Smtp(where)

    def send(self, smtp):
        self.count += 1
        begun, identity, ok = time.monotonic(), "%s.%d" % (self.name, self.count), False
        try:
            smtp.envelope([self.account])
            ok = smtp.data(history.message(identity)).startswith("250")
        finally:
            self.log.add("deliver", begun, id=identity, to=[self.account], ok=ok)
        if not ok:
            raise EOFError("refused")
