# SPDX-License-Identifier: Apache-2.0
"""A fail-over in the middle of what a session does: the node that serves its user dies or is stopped in order, and the session sees
a pause and nothing else (design.md, "Front-ends in a cluster"): whole messages, each change once, no notice missed."""
import re
import signal
import socket
import threading
import time

import pytest

import conftest
import wire
from harness import PASSWORD, primary_of, wait_for, whole
from load import numbered

PAUSE_MAX = 10.0  # seconds for one command with a fail-over in it, sanitizers and a loaded machine included
REJOIN_MAX = 60.0
SMALL_BUFFER = 65536  # octets a client's socket takes in before it is read
COUNT = 60  # messages of a full mailbox
LARGE = 200000

HOWS = pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])


@pytest.fixture(scope="module")
def trio(build):
    yield from conftest.run_cluster(build, storages=3)


@pytest.fixture(scope="module")
def full(trio):
    """An account with COUNT large messages."""
    user = trio.add_user()
    with wire.Smtp(trio) as smtp:
        for i in range(COUNT):
            smtp.envelope([user])
            assert smtp.data(numbered("m%d" % i, LARGE)).startswith("250")
    return user


class Failover:
    """The end of the primary's process, when it is asked for; after the block it is back and every copy, too."""

    def __init__(self, cluster, user, how):
        self.cluster, self.how = cluster, how
        self.victim = primary_of(cluster, user)
        self.thread = None

    def __enter__(self):
        return self

    def now(self):
        self.victim.signal(self.how)

    def soon(self, seconds):
        """While the caller is busy."""
        self.thread = threading.Timer(seconds, self.now)
        self.thread.start()

    def __exit__(self, *exception):
        if self.thread:
            self.thread.join()
        self.victim.wait()
        self.victim.start()
        wait_for(lambda: whole(self.cluster), REJOIN_MAX, "every copy is back")


def narrow(connection):
    """Little is under way between server and client, so that the server is in the middle when the client is."""
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)


@HOWS
def test_fetch(trio, full, how):
    with Failover(trio, full, how) as failover, wire.Imap(trio, full, select="INBOX") as imap:
        narrow(imap)
        tag = imap.next_tag()
        imap.send(tag + b" FETCH 1:* (UID BODY.PEEK[])\r\n")
        got = []
        for i in range(COUNT):
            got.append(imap.response())
            if i == 2:
                failover.now()
                failover.victim.wait()
        begun = time.monotonic()
        assert imap.finish(tag) == []
        assert time.monotonic() - begun < PAUSE_MAX
    for i, response in enumerate(got):
        assert re.match(rb"\* %d FETCH \(UID %d " % (i + 1, i + 1), response)
        assert response.endswith(numbered("m%d" % i, LARGE) + b")")


@HOWS
def test_retr(trio, full, how):
    with Failover(trio, full, how) as failover, wire.Pop3(trio, full) as pop:
        narrow(pop)
        assert pop.command("RETR 7").startswith("+OK")
        got = pop.read(20000)
        failover.now()
        failover.victim.wait()
        got += pop.until(b"\r\n.\r\n")
        assert got.endswith(numbered("m6", LARGE) + b".\r\n")
        for i in range(8, 12):  # and on it goes in the same session
            assert pop.multiline("RETR %d" % i).endswith(numbered("m%d" % (i - 1), LARGE))
        assert pop.command("QUIT").startswith("+OK")


@HOWS
def test_quit_after_dele(trio, how):
    user = trio.add_user()
    for i in range(4):
        wire.deliver(trio, user, numbered("m%d" % i))
    with Failover(trio, user, how) as failover, wire.Pop3(trio, user) as pop:
        assert pop.command("DELE 2").startswith("+OK") and pop.command("DELE 3").startswith("+OK")
        failover.now()
        assert pop.command("QUIT").startswith("+OK")
    with wire.Imap(trio, user, select="INBOX") as imap:
        assert [d["ENVELOPE"][1] for d in imap.fetch("1:*", "(ENVELOPE)").values()] == [b"m0", b"m3"]


@HOWS
def test_idle(trio, how):
    """Two sessions idle, on another's message and on a change of flags: each is told of all that happens before, in the middle of
    and after the fail-over, without asking."""
    user = trio.add_user()
    wire.deliver(trio, user, numbered("m1"))
    idlers = [wire.Imap(trio, user, select="INBOX") for _ in range(2)]
    tags = [imap.next_tag() for imap in idlers]
    for imap, tag in zip(idlers, tags):
        imap.send(tag + b" IDLE\r\n")
        assert imap.line().startswith(b"+")
    told = lambda imap, what: wait_line(imap, what)
    with Failover(trio, user, how) as failover:
        wire.deliver(trio, user, numbered("m2"))
        for imap in idlers:
            told(imap, b"* 2 EXISTS")
        failover.now()
        for count in (3, 4, 5):
            wire.deliver(trio, user, numbered("m%d" % count))
            for imap in idlers:
                told(imap, b"* %d EXISTS" % count)
        with wire.Imap(trio, user, select="INBOX") as other:
            other.command(r"STORE 4 +FLAGS.SILENT (\Flagged)")
            for imap in idlers:
                assert b"\\Flagged" in told(imap, b"* 4 FETCH")
            other.command(r"STORE 1 +FLAGS.SILENT (\Deleted)")
            other.command("EXPUNGE")
            for imap in idlers:
                told(imap, b"* 1 EXPUNGE")
    wire.deliver(trio, user, numbered("m6"))  # the node that came back has changed nothing
    for imap, tag in zip(idlers, tags):
        told(imap, b"* 5 EXISTS")
        imap.send(b"DONE\r\n")
        assert [line for line in imap.finish(tag) if not line.endswith(b" RECENT")] == []
        imap.close()


def wait_line(imap, begin):
    """The next line that begins so. Other lines may stand before it, none may take long."""
    end = time.monotonic() + PAUSE_MAX
    imap.socket.settimeout(PAUSE_MAX)
    while True:
        line = imap.line()
        if line.startswith(begin):
            return line
        assert time.monotonic() < end, "no %r" % begin


@HOWS
def test_append(trio, how):
    """The literal is half sent, and some of it stored as chunks, when the node ends."""
    user, message = trio.add_user(), numbered("big", 1500000)
    with Failover(trio, user, how) as failover, wire.Imap(trio, user) as imap:
        tag = imap.next_tag()
        imap.send(b'%s APPEND INBOX (\\Seen) {%d+}\r\n' % (tag, len(message)) + message[:900000])
        time.sleep(0.3)
        failover.now()
        failover.victim.wait()
        imap.send(message[900000:] + b"\r\n")
        imap.finish(tag)
        assert "APPENDUID" in imap.code
        imap.append("INBOX", numbered("small"))
        imap.command("SELECT INBOX")
        rows = imap.fetch("1:*", "(FLAGS BODY.PEEK[])")
    assert [d["BODY[]"] for d in rows.values()] == [message, numbered("small")]


@HOWS
@pytest.mark.parametrize("when", ["between", "end"])
def test_data(trio, how, when):
    """SMTP: in the middle of the data, and just as the end of it arrives."""
    user, message = trio.add_user(), numbered("big", 1500000)
    with Failover(trio, user, how) as failover, wire.Smtp(trio) as smtp:
        smtp.envelope([user])
        assert smtp.command("DATA").startswith("354")
        if when == "between":
            smtp.send(message[:900000])
            time.sleep(0.3)
            failover.now()
            failover.victim.wait()
            smtp.send(message[900000:] + b".\r\n")
        else:
            smtp.send(message)
            failover.soon(0.002)
            smtp.send(b".\r\n")
        assert smtp.reply().startswith("250")
        smtp.envelope([user])
        assert smtp.data(numbered("small")).startswith("250")
    with wire.Imap(trio, user) as imap:  # after a long pause one of them may have come by the queue
        wait_for(lambda: imap.exists() >= 2, PAUSE_MAX, "both messages")
        imap.command("SELECT INBOX")
        bodies = sorted((data["BODY[]"] for data in imap.fetch("1:*", "(BODY.PEEK[])").values()), key=len)
    assert len(bodies) == 2 and bodies[0].endswith(numbered("small")) and bodies[1].endswith(message)


@pytest.fixture(scope="module")
def many(trio):
    """An account with 3,000 small messages: more than one request's STORE."""
    user = trio.add_user()
    with wire.Imap(trio, user) as imap:
        for first in range(0, 3000, 250):
            tag = imap.next_tag()
            batch = [numbered("s%d" % i, 50) for i in range(first, first + 250)]
            imap.send(tag + b" APPEND INBOX" + b"".join(b" {%d+}\r\n" % len(m) + m for m in batch) + b"\r\n")
            imap.finish(tag)
    return user


@HOWS
@pytest.mark.parametrize("after", [0.0, 0.03])
def test_store(trio, many, how, after):
    flag = "$%s%d" % (how.name, after * 1000)
    with Failover(trio, many, how) as failover, wire.Imap(trio, many, select="INBOX") as imap, \
            wire.Imap(trio, many, select="INBOX") as other:
        failover.soon(after)
        told = imap.command("STORE 1:* +FLAGS (%s)" % flag)
        assert sum(flag.encode() in line for line in told if b" FETCH " in line) == 3000
        seen = other.fetch("1:*", "(FLAGS)")
        assert all(flag.encode() in data["FLAGS"] for data in seen.values()) and len(seen) == 3000


@HOWS
@pytest.mark.parametrize("command", ["COPY", "MOVE"])
def test_copy(trio, many, how, command):
    """All or nothing, and once."""
    box = "%s-%s" % (command, how.name)
    with Failover(trio, many, how) as failover, wire.Imap(trio, many) as imap:
        imap.command("CREATE " + box)
        imap.command("CREATE from" + box)
        imap.command("SELECT INBOX")
        imap.command("COPY 1:1000 from" + box)
        imap.command("SELECT from" + box)
        failover.soon(0.005)
        imap.command("%s 1:* %s" % (command, box))
        assert imap.exists(box) == 1000
        assert imap.exists("from" + box) == (1000 if command == "COPY" else 0)
        imap.command("SELECT " + box)
        got = [data["ENVELOPE"][1] for data in imap.fetch("1:*", "(ENVELOPE)").values()]
        assert got == [b"s%d" % i for i in range(1000)]


@HOWS
def test_login(trio, how):
    """Who comes while nobody serves the account waits, and is let in."""
    user = trio.add_user()
    with Failover(trio, user, how) as failover:
        failover.now()
        with wire.Imap(trio) as imap, wire.Smtp(trio) as smtp:
            assert smtp.command("MAIL FROM:<a@elsewhere.test>").startswith("250")
            begun = time.monotonic()
            imap.command('LOGIN "%s" "%s"' % (user, PASSWORD))
            assert smtp.command("RCPT TO:<%s>" % user).startswith("250")
            assert time.monotonic() - begun < PAUSE_MAX
