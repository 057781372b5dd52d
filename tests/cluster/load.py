# SPDX-License-Identifier: Apache-2.0
"""Mail that can be told apart, and clients that write and read it until they are told to end."""
import re
import threading
import time

import wire
from harness import wait_for


def numbered(name, size=2000):
    filler = (b"%s " % name.encode()) * (size // (len(name) + 1) + 1)
    lines = b"\r\n".join(filler[i:i + 70] for i in range(0, size, 70))
    return b"From: a@elsewhere.test\r\nTo: b@example.test\r\nSubject: %s\r\n\r\n%s\r\n" % (name.encode(), lines)


def subjects(cluster, user, mailbox="INBOX"):
    with wire.Imap(cluster, user) as imap:
        told = b" ".join(imap.command('SELECT "%s"' % mailbox))
        if re.search(rb"\* 0 EXISTS", told):
            return []
        return [data["ENVELOPE"][1].decode() for data in imap.fetch("1:*", "(UID ENVELOPE)").values()]


def wait_for_mail(cluster, user, names):
    """Some of what was acknowledged may still be in the queue. What does not come is for the caller to tell."""
    try:
        wait_for(lambda: set(names) <= set(subjects(cluster, user)), wire.ARRIVE_MAX, "mail from the queue", interval=0.5)
    except AssertionError:
        pass


class Writer(threading.Thread):
    """Delivers or appends until stopped; remembers what was acknowledged and what was only tried."""

    def __init__(self, cluster, user, name):
        super().__init__()
        self.cluster, self.user, self.prefix = cluster, user, name
        self.acknowledged, self.tried = [], []
        self.stopping = False
        self.start()

    def run(self):
        number = 0
        while not self.stopping:
            try:
                with self.connect() as session:
                    while not self.stopping:
                        number += 1
                        subject = "%s-%d" % (self.prefix, number)
                        self.tried.append(subject)
                        if self.write(session, subject):
                            self.acknowledged.append(subject)
            except (OSError, EOFError, AssertionError):
                time.sleep(0.2)

    def end(self):
        self.stopping = True
        self.join(60)
        assert not self.is_alive()


class SmtpWriter(Writer):
    def connect(self):
        return wire.Smtp(self.cluster, timeout=20)

    def write(self, smtp, subject):
        if not smtp.command("MAIL FROM:<a@elsewhere.test>").startswith("250"):
            raise EOFError("no sender")
        if not smtp.command("RCPT TO:<%s>" % self.user).startswith("250"):
            raise EOFError("no recipient")
        return smtp.data(numbered(subject, 50000 if len(self.tried) % 10 == 0 else 2000)).startswith("250")


class ImapWriter(Writer):
    def connect(self):
        return wire.Imap(self.cluster, self.user, timeout=20)

    def write(self, imap, subject):
        imap.append("INBOX", numbered(subject), r"(\Seen)", allow=("OK", "NO"))
        return imap.status.startswith("OK")


class Reader(threading.Thread):
    """Reads a mailbox again and again; each look must show all that an earlier one showed."""

    def __init__(self, cluster, user):
        super().__init__()
        self.cluster, self.user = cluster, user
        self.stopping, self.looks, self.last, self.longest, self.mistakes = False, 0, time.monotonic(), 0.0, []
        self.seen = {}
        self.start()

    def look(self, imap):
        imap.command("SELECT INBOX")
        if not imap.exists():
            return
        got = {uid: data["ENVELOPE"][1] for uid, data in imap.fetch("1:*", "(UID ENVELOPE)", uid=True).items()}
        for uid, subject in self.seen.items():
            if got.get(uid) != subject:
                self.mistakes.append("UID %s was %r, is %r" % (uid, subject, got.get(uid)))
        self.seen = got

    def run(self):
        while not self.stopping:
            try:
                with wire.Imap(self.cluster, self.user, timeout=20) as imap:
                    while not self.stopping:
                        self.look(imap)
                        self.looks += 1
                        now = time.monotonic()
                        self.longest, self.last = max(self.longest, now - self.last), now
                        time.sleep(0.05)
            except (OSError, EOFError, AssertionError):
                time.sleep(0.1)

    def end(self):
        self.stopping = True
        self.join(60)
        assert not self.is_alive()


def check(cluster, user, writers):
    acknowledged = {s for w in writers for s in w.acknowledged}
    tried = {s for w in writers for s in w.tried}
    wait_for_mail(cluster, user, acknowledged)
    with wire.Imap(cluster, user, select="INBOX") as imap:
        rows = imap.fetch("1:*", "(UID ENVELOPE BODY.PEEK[])").values()
    found = [data["ENVELOPE"][1].decode() for data in rows]
    assert acknowledged <= set(found), "lost: %s" % sorted(acknowledged - set(found))
    assert set(found) <= tried
    assert len(found) == len(set(found)), "twice: %s" % sorted(s for s in set(found) if found.count(s) > 1)
    for data in rows:
        name = data["ENVELOPE"][1].decode()
        assert data["BODY[]"].endswith((numbered(name), numbered(name, 50000)))
