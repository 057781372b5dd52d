# SPDX-License-Identifier: Apache-2.0
"""One account does STORE, COPY, MOVE and EXPUNGE on a mailbox of very many messages; another one of the same partition, and so of
the same worker, must not notice. And what becomes of a large command when somebody dies in the middle of it.
TERN_LARGE_MESSAGES says how many messages, TERN_LARGE_NODES how many copies of everything. Prints what was measured (pytest -s)."""
import multiprocessing
import os
import re
import threading
import time

import pytest

import conftest
import harness
import wire

MESSAGES = int(os.environ.get("TERN_LARGE_MESSAGES", "100000"))
NODES = int(os.environ.get("TERN_LARGE_NODES", "1"))
BATCH = 500  # of the first MULTIAPPEND
PAUSE_MAX = 1.0  # seconds that another user may wait for anything: the read lease ...
QUIET_SHARE = 5  # ... or so many times what he waits when nothing happens, on a machine that is busy with other things
QUIET_SECONDS = 4
COMMAND_MAX = 3600

MESSAGE = b"From: a@elsewhere.test\r\nTo: b@example.test\r\nSubject: one of many\r\n\r\nA few words.\r\n"


@pytest.fixture(scope="module")
def large_cluster(build):
    yield from conftest.run_cluster(build, partitions=1, storages=NODES)


def watch_latency(cluster, user, samples, stop):
    """The other user, in a process of its own: (when, what, seconds) of every command."""
    with wire.Imap(cluster, user, select="INBOX") as imap:
        for _ in range(10):
            imap.append("INBOX", MESSAGE)
        imap.command("NOOP")
        found = []
        while not stop.is_set():
            for what, call in (("NOOP", lambda: imap.command("NOOP")), ("FETCH", lambda: imap.command("FETCH 1:10 (FLAGS ENVELOPE)")),
                               ("APPEND", lambda: imap.append("INBOX", MESSAGE)), ("STORE", lambda: imap.command("STORE 1 +FLAGS (x)"))):
                begin = time.monotonic()
                call()
                found.append((begin, what, time.monotonic() - begin))
            time.sleep(0.02)
        samples.put(found)


class Session(wire.Imap):
    """Answers of a million lines: read to the tagged line, and only their number and the interesting ones are kept."""

    def large(self, command):
        tag = self.next_tag()
        self.socket.settimeout(COMMAND_MAX)
        self.buffer += b"\r\n"
        self.send(tag + b" " + command.encode() + b"\r\n")
        begin = time.monotonic()
        answer = self.until(b"\r\n" + tag + b" ")
        status = self.line()
        assert status.startswith(b"OK"), status
        return time.monotonic() - begin, answer, status.decode()


def fill(session, count):
    """A first MULTIAPPEND, then the mailbox is copied onto itself until it is full."""
    session.append("INBOX", MESSAGE)
    tag = session.next_tag()
    session.send(tag + b" APPEND INBOX" + b"".join(b" {%d+}\r\n" % len(MESSAGE) + MESSAGE for _ in range(BATCH - 1)) + b"\r\n")
    session.finish(tag)
    have = BATCH
    while have < count:
        more = min(have, count - have)
        _, answer, status = session.large("COPY 1:%d INBOX" % more)
        have += more
        assert re.search(r"\[COPYUID \d+ \S+ \d+:\d+\]", status), status[:200]
        assert int(re.findall(rb"\* (\d+) EXISTS", answer)[-1]) == have


def test_others_see_no_pause(large_cluster):
    cluster = large_cluster
    user, other = cluster.add_user(), cluster.add_user()
    samples, stop = multiprocessing.Queue(), multiprocessing.Event()
    spans = []

    with Session(cluster, user, select="INBOX", timeout=COMMAND_MAX) as session:
        session.command("CREATE Copy")
        session.command("CREATE Moved")
        begin = time.monotonic()
        fill(session, MESSAGES)
        print("\nfilled with %d in %.1f s" % (MESSAGES, time.monotonic() - begin))
        watcher = multiprocessing.Process(target=watch_latency, args=(cluster, other, samples, stop))
        watcher.start()
        try:
            time.sleep(QUIET_SECONDS)
            spans.append(("nothing", begin, time.monotonic()))
            for command in ("COPY 1:* Copy", "MOVE 1:* Moved", "SELECT Moved", "STORE 1:* +FLAGS (\\Deleted)", "SEARCH UNSEEN", "EXPUNGE"):
                begin = time.monotonic()
                seconds, answer, status = session.large(command)
                spans.append((command, begin, time.monotonic()))
                print("%-28s %7.1f s, answer %d bytes, %s" % (command, seconds, len(answer), status[:60]))
                if command.startswith("MOVE"):
                    # One moment: all there, none here, although the source is being swept.
                    assert session.exists("INBOX") == 0
                    assert session.exists("Moved") == MESSAGES
                    assert answer.count(b" EXPUNGE") == MESSAGES
            assert session.exists("Moved") == 0
            assert session.exists("Copy") == MESSAGES
        finally:
            stop.set()
            found = samples.get(timeout=60)
            watcher.join(60)

    worst = {}
    for command, first, last in spans:
        for what in ("NOOP", "FETCH", "APPEND", "STORE"):
            times = sorted(seconds for at, kind, seconds in found if kind == what and first <= at <= last)
            if times:
                worst[command] = max(worst.get(command, 0), times[-1])
                print("%-28s other's %-6s n=%5d p50 %6.1f ms p99 %6.1f ms worst %6.1f ms" % (
                    command, what, len(times), times[len(times) // 2] * 1e3, times[len(times) * 99 // 100] * 1e3, times[-1] * 1e3))
    assert len(found) > 50
    assert max(worst.values()) < max(PAUSE_MAX, QUIET_SHARE * worst["nothing"]), worst


# ---- deaths in the middle

CRASH_MESSAGES = 20000
TRIES = 5  # where this process stands still and the command is whole before the end of who does it
TAKEOVER_MAX = 25.0  # seconds: 6 until the dead one's is given up, its sweep, and the copy itself on a loaded machine


def applied(cluster):
    return int(re.search(r"^tern_entries_applied_total (\d+)", cluster.storage.get("/metrics")[1], re.M).group(1))


def counts(cluster, user):
    with wire.Imap(cluster, user) as session:
        return session.exists("INBOX"), session.exists("Other")


@pytest.fixture(scope="module")
def large_user(large_cluster):
    user = large_cluster.add_user()
    with Session(large_cluster, user, select="INBOX", timeout=COMMAND_MAX) as session:
        session.command("CREATE Other")
        fill(session, CRASH_MESSAGES)
    return user


def begin(cluster, session, command):
    """Send it, and wait until some of it is done."""
    before = applied(cluster)
    tag = session.next_tag()
    session.send(tag + b" " + command.encode() + b"\r\n")
    harness.wait_for(lambda: applied(cluster) > before + 5, what="a part of it", interval=0.005)
    return tag


def test_frontend_dies_in_the_middle(large_cluster, large_user):
    cluster = large_cluster
    for _ in range(TRIES):
        with Session(cluster, large_user, select="INBOX") as session:
            begin(cluster, session, "MOVE 1:* Other")
            cluster.frontend.kill()
        cluster.frontend.start()
        if counts(cluster, large_user) != (0, CRASH_MESSAGES):
            break
        with Session(cluster, large_user, select="Other", timeout=COMMAND_MAX) as session:
            session.large("MOVE 1:* INBOX")
    assert counts(cluster, large_user) == (CRASH_MESSAGES, 0)
    # What it left behind is given up when the next one waits for it and nobody has gone on with it for some seconds.
    with Session(cluster, large_user, select="INBOX", timeout=COMMAND_MAX) as session:
        seconds, answer, _ = session.large("COPY 1:* Other")
        told = re.findall(rb'\* OK \[INPROGRESS \("t3" (\d+) %d\)\] ' % CRASH_MESSAGES, answer)
        print("\nthe next large one took %.0f s, progress %r" % (seconds, told))
        assert len(told) >= int(seconds) // 10 - 1 and told == sorted(told, key=int)
        assert seconds < TAKEOVER_MAX
        assert counts(cluster, large_user) == (CRASH_MESSAGES, CRASH_MESSAGES)
    with Session(cluster, large_user, select="Other", timeout=COMMAND_MAX) as session:
        session.large("STORE 1:* +FLAGS.SILENT (\\Deleted)")
        session.large("EXPUNGE")


def test_two_at_once(large_cluster, large_user):
    """The second session's waits for the first one's, and both are whole."""
    cluster, answers = large_cluster, {}

    def copy(target):
        with Session(cluster, large_user, select="INBOX", timeout=COMMAND_MAX) as session:
            session.command("CREATE " + target)
            answers[target] = session.large("COPY 1:* " + target)[2]

    threads = [threading.Thread(target=copy, args=(target,)) for target in ("One", "Two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(COMMAND_MAX)
    assert sorted(answers) == ["One", "Two"] and all(a.startswith("OK") for a in answers.values()), answers
    with Session(cluster, large_user, select="INBOX", timeout=COMMAND_MAX) as session:
        for target in answers:
            assert session.exists(target) == session.exists("INBOX") == CRASH_MESSAGES
            session.command("DELETE " + target)


def test_storage_node_dies_in_the_middle(large_cluster, large_user):
    """The steps are repeated under their request ids: the command goes on where it was."""
    cluster = large_cluster
    with Session(cluster, large_user, select="INBOX", timeout=COMMAND_MAX) as session:
        tag = begin(cluster, session, "MOVE 1:* Other")
        cluster.storage.kill()
        cluster.storage.start()
        session.buffer[:0] = b"\r\n"
        session.until(b"\r\n" + tag + b" ")
        status = session.line()
    done = status.startswith(b"OK")
    assert done or status.startswith(b"NO"), status
    assert counts(cluster, large_user) == ((0, CRASH_MESSAGES) if done else (CRASH_MESSAGES, 0))
