# SPDX-License-Identifier: Apache-2.0
"""The design's promises P1 to P9, as far as one replica of each partition goes."""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import pytest

import harness
import wire
from harness import PASSWORD, wait_for


def numbered(name, size=2000):
    filler = (b"%s " % name.encode()) * (size // (len(name) + 1) + 1)
    lines = b"\r\n".join(filler[i:i + 70] for i in range(0, size, 70))
    return b"From: a@elsewhere.test\r\nTo: b@example.test\r\nSubject: %s\r\n\r\n%s\r\n" % (name.encode(), lines)


def subjects(cluster, user, mailbox="INBOX"):
    with wire.Imap(cluster, user, select=mailbox) as imap:
        if not imap.exists(mailbox):
            return []
        return [data["ENVELOPE"][1].decode() for data in imap.fetch("1:*", "(UID ENVELOPE)").values()]


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


def test_p1_acknowledged_survives_kill9(own_cluster):
    """The storage node dies three times while five clients write; all that was acknowledged is there, nothing twice (P2)."""
    cluster, user = own_cluster, own_cluster.add_user()
    writers = [SmtpWriter(cluster, user, "smtp%d" % i) for i in range(3)]
    writers += [ImapWriter(cluster, user, "imap%d" % i) for i in range(2)]
    try:
        for _ in range(3):
            goal = sum(len(w.acknowledged) for w in writers) + 30
            wait_for(lambda: sum(len(w.acknowledged) for w in writers) > goal, 60, "progress")
            cluster.storage.kill()
            time.sleep(0.3)
            cluster.storage.start()
        goal = sum(len(w.acknowledged) for w in writers) + 20
        wait_for(lambda: sum(len(w.acknowledged) for w in writers) > goal, 60, "progress after the restart")
    finally:
        for writer in writers:
            writer.end()
    acknowledged = {s for w in writers for s in w.acknowledged}
    tried = {s for w in writers for s in w.tried}
    try:  # what came while the node was away may wait in the queue for a moment
        wait_for(lambda: acknowledged <= set(subjects(cluster, user)), what="mail from the queue")
    except AssertionError:
        pass  # told below
    found = subjects(cluster, user)
    assert acknowledged <= set(found), "lost: %s" % sorted(acknowledged - set(found))
    assert set(found) <= tried
    assert len(found) == len(set(found)), "twice: %s" % sorted(s for s in set(found) if found.count(s) > 1)
    # and every body is whole
    with wire.Imap(cluster, user, select="INBOX") as imap:
        for data in imap.fetch("1:*", "(ENVELOPE BODY.PEEK[])").values():
            name = data["ENVELOPE"][1].decode()
            assert data["BODY[]"].endswith((numbered(name), numbered(name, 50000)))


def test_p1_changes_survive_kill9(own_cluster):
    """What was answered OK to STORE, COPY, MOVE, EXPUNGE, CREATE, RENAME, SUBSCRIBE and QUIT after DELE."""
    cluster, user = own_cluster, own_cluster.add_user()
    for i in range(6):
        wire.deliver(cluster, user, numbered("m%d" % i))
    with wire.Pop3(cluster, user) as pop:
        assert pop.command("DELE 6").startswith("+OK")
        assert pop.command("QUIT").startswith("+OK")
    with wire.Imap(cluster, user, select="INBOX") as imap:
        imap.command(r"STORE 1 +FLAGS (\Flagged $Label)")
        imap.command("COPY 2 Archive")
        imap.command("MOVE 3 Trash")
        imap.command(r"STORE 4 +FLAGS.SILENT (\Deleted)")
        imap.command("EXPUNGE")
        imap.command("CREATE one/two")
        imap.command("RENAME one three")
        imap.command("UNSUBSCRIBE Junk")
        imap.command("CREATE gone")
        imap.command("DELETE gone")
        cluster.storage.kill()
    cluster.storage.start()
    with wire.Imap(cluster, user, select="INBOX") as imap:
        got = {data["ENVELOPE"][1]: data["FLAGS"] for data in imap.fetch("1:*", "(FLAGS ENVELOPE)").values()}
        assert sorted(got) == [b"m0", b"m1", b"m3"]
        assert {b"\\Flagged", b"$Label"} <= set(got[b"m0"])
        names = b"\n".join(imap.command('LIST "" * RETURN (SUBSCRIBED)'))
        assert b"three/two" in names and b"one" not in names and b"gone" not in names
        assert re.search(rb'\(([^)]*)\) "/" "?Junk', names) and b"\\Subscribed" not in re.search(
            rb'\(([^)]*)\) "/" "?Junk', names).group(1)
    assert subjects(cluster, user, "Archive") == ["m1"]
    assert subjects(cluster, user, "Trash") == ["m2"]


def test_p1_stop_in_order_and_start(own_cluster):
    """SIGTERM instead of SIGKILL, all programs."""
    cluster, user = own_cluster, own_cluster.add_user()
    wire.deliver(cluster, user, numbered("before"))
    for process in cluster.processes:
        assert process.stop() == 0, process.name
    for process in reversed(cluster.processes):
        process.start(wait_ready=False)
    for process in cluster.processes:
        process.wait_ready()
    assert subjects(cluster, user) == ["before"]


def test_p2_request_is_not_repeated_over_a_restart(own_cluster):
    """APPEND while the storage node is away for a moment: the front-end tries again by itself, once is once."""
    cluster, user = own_cluster, own_cluster.add_user()
    with wire.Imap(cluster, user) as imap:
        imap.append("INBOX", numbered("one"))
        cluster.storage.kill()
        starter = threading.Timer(1.0, cluster.storage.start)
        starter.start()
        try:
            imap.append("INBOX", numbered("two"))
        finally:
            starter.join()
    assert subjects(cluster, user) == ["one", "two"]


def test_p3_sessions_see_the_same(own_cluster):
    cluster, user = own_cluster, own_cluster.add_user()
    sessions = [wire.Imap(cluster, user, select="INBOX") for _ in range(4)]
    try:
        for i in range(20):
            writer = sessions[i % 4]
            writer.append("INBOX", numbered("m%d" % i))
            if i % 5 == 4:
                writer.command("NOOP")
                writer.command(r"STORE 1 +FLAGS.SILENT (\Deleted)")
                writer.command("EXPUNGE")
            else:
                writer.command(r"UID STORE %s +FLAGS (\Flagged)" % re.search(r"APPENDUID \d+ (\d+)", writer.code).group(1)
                               if writer.code and "APPENDUID" in writer.code else "NOOP")
        for session in sessions:
            session.command("NOOP")
        views = [session.fetch("1:*", "(UID FLAGS MODSEQ ENVELOPE)") for session in sessions]
        for view in views:
            for data in view.values():
                data["FLAGS"] = sorted(f for f in data["FLAGS"] if f != b"\\Recent")
        assert views[0] == views[1] == views[2] == views[3]
        assert len(views[0]) == 16
        uids = [int(data["UID"]) for data in views[0].values()]
        assert uids == sorted(uids)
    finally:
        for session in sessions:
            session.close()


def test_p3_uids_and_modseqs_never_go_back(own_cluster):
    cluster, user = own_cluster, own_cluster.add_user()

    def state():
        with wire.Imap(cluster, user) as imap:
            answer = imap.command("STATUS INBOX (UIDNEXT UIDVALIDITY HIGHESTMODSEQ)")[0]
            return tuple(int(re.search(rb"%s (\d+)" % key, answer).group(1))
                         for key in (b"UIDVALIDITY", b"UIDNEXT", b"HIGHESTMODSEQ"))

    states = [state()]
    for i in range(3):
        wire.deliver(cluster, user, numbered("m%d" % i))
        states.append(state())
        with wire.Imap(cluster, user, select="INBOX") as imap:
            imap.command(r"STORE 1 +FLAGS.SILENT (\Deleted)")
            imap.command("EXPUNGE")
        states.append(state())
        cluster.storage.kill()
        cluster.storage.start()
        states.append(state())
    assert states == sorted(states)
    assert states[-1][1] == states[0][1] + 3
    with wire.Imap(cluster, user) as imap:  # UIDVALIDITY goes up when a name is used again
        values = []
        for _ in range(3):
            imap.command("CREATE again")
            values.append(int(re.search(rb"UIDVALIDITY (\d+)", imap.command("STATUS again (UIDVALIDITY)")[0]).group(1)))
            imap.command("DELETE again")
        assert values == sorted(set(values))


def test_p4_a_frontend_holds_nothing(own_cluster):
    cluster, user = own_cluster, own_cluster.add_user()
    wire.deliver(cluster, user, numbered("m"))
    with wire.Imap(cluster, user, select="INBOX") as imap, wire.Pop3(cluster, user) as pop, wire.Smtp(cluster) as smtp:
        imap.command(r"STORE 1 +FLAGS (\Flagged)")
        assert pop.command("DELE 1").startswith("+OK")  # not done before QUIT
        smtp.envelope([user])
        assert smtp.command("DATA").startswith("354")
        smtp.send(b"Subject: half a message\r\n\r\n")
        cluster.frontend.kill()
        for session in (imap, pop, smtp):
            assert session.is_closed()
    cluster.frontend.start()
    with wire.Imap(cluster, user, select="INBOX") as imap:
        got = imap.fetch("1:*", "(FLAGS ENVELOPE)")
        assert len(got) == 1 and b"\\Flagged" in got[1]["FLAGS"] and got[1]["ENVELOPE"][1] == b"m"


def test_p4_pop3_lock_ends_with_its_frontend(own_cluster):
    """The lock lease of a dead front-end ends by itself, later than one would like but for sure."""
    cluster, user = own_cluster, own_cluster.add_user()
    with wire.Pop3(cluster, user):
        with wire.Pop3(cluster) as second:
            second.command("USER " + user)
            assert second.command("PASS " + PASSWORD).startswith("-ERR [IN-USE]")
    with wire.Pop3(cluster, user):  # given back when the connection went
        pass


def test_p5_a_message_appears_at_once(own_cluster):
    """Whoever sees the message sees its row, body, counters and search entries."""
    cluster, user = own_cluster, own_cluster.add_user()
    seen = []
    failure = []
    done = threading.Event()

    def watch():
        try:
            with wire.Imap(cluster, user, select="INBOX") as imap:
                while not done.is_set() or len(seen) < 20:
                    imap.command("NOOP")
                    count = len(imap.command("SEARCH ALL")[0].split()) - 2
                    if count > len(seen):
                        for number, data in imap.fetch("%d:%d" % (len(seen) + 1, count),
                                                       "(UID RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[])").items():
                            name = data["ENVELOPE"][1].decode()
                            assert len(data["BODY[]"]) == int(data["RFC822.SIZE"])
                            assert data["BODY[]"].endswith(numbered(name, 300000))
                            assert b"* SEARCH %d" % number in imap.command("SEARCH SUBJECT %s" % name)
                            seen.append(name)
        except Exception as error:  # reported by the main thread
            failure.append(error)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for i in range(20):
        wire.deliver(cluster, user, numbered("part%02d" % i, 300000))
    done.set()
    watcher.join(60)
    assert not failure, failure
    assert seen == ["part%02d" % i for i in range(20)]


def test_p5_multiappend_is_all_or_nothing(own_cluster):
    cluster, user = own_cluster, own_cluster.add_user()
    one, two = numbered("one"), numbered("two")
    with wire.Imap(cluster, user) as imap:
        command = b"APPEND INBOX {%d+}\r\n%s {%d+}\r\n%s" % (len(one), one, len(two), two)
        imap.command(command)
        assert imap.exists() == 2
        imap.command(command + b" {5+}\r\n\0\0\0\0\0", allow=("BAD",))
        assert imap.exists() == 2
        tag = imap.next_tag()
        imap.send(tag + b" " + command[:-20])
    time.sleep(0.5)
    assert subjects(cluster, user) == ["one", "two"]


def test_p6_several_recipients_share_a_body(own_cluster):
    """A body of 20 MB for ten users of one partition is on the disk once (single partition: see the fixture's default of 8)."""
    cluster = own_cluster
    by_partition = {}
    while max([len(v) for v in by_partition.values()] or [0]) < 5:
        user = cluster.add_user()
        shown = cluster.ctl_json("partition", "show", user)
        by_partition.setdefault(partition_number(shown), []).append(user)
    users = max(by_partition.values(), key=len)

    def used():
        return int(subprocess.run(["du", "-sb", cluster.path("storage")], capture_output=True, text=True).stdout.split()[0])

    body = os.urandom(4 << 20).hex().encode()
    lines = b"\r\n".join(body[i:i + 76] for i in range(0, len(body), 76))
    before = used()
    wire.deliver(cluster, users, b"Subject: shared\r\n\r\n" + lines + b"\r\n")
    grown = used() - before
    assert grown < 2.5 * len(lines), "%d bytes grew the store by %d" % (len(lines), grown)
    for user in users:
        with wire.Imap(cluster, user, select="INBOX") as imap:
            assert imap.fetch("1", "BODY.PEEK[]")[1]["BODY[]"].endswith(lines + b"\r\n")
            imap.command("COPY 1 Archive")
            imap.command(r"STORE 1 +FLAGS (\Seen \Flagged)")
    assert used() - before - grown < len(lines) // 2


def partition_number(shown):
    if isinstance(shown, list):
        shown = shown[0]
    return shown.get("partition", shown.get("number"))


def test_p7_bounds(own_cluster):
    cluster, user = own_cluster, own_cluster.add_user()
    with wire.Smtp(cluster) as smtp:
        size = int(re.search(r"SIZE (\d+)", smtp.features).group(1))
        assert smtp.command("MAIL FROM:<a@b.test> SIZE=%d" % (size + 1)).startswith("552 5.3.4")
        assert smtp.command("MAIL FROM:<a@b.test>").startswith("250")
        answers = []
        for first in range(0, 1010, 101):
            smtp.send("".join("RCPT TO:<%s>\r\n" % user for _ in range(101)))
            answers += [smtp.reply()[:9] for _ in range(101)]
        assert answers.count("250 2.1.5") == 1000 and answers.count("452 4.5.3") == 10
        assert smtp.data(numbered("m")).startswith("250")
        assert smtp.command("NOOP " + "x" * 5000).startswith("500 5.5.2")
        assert smtp.command("NOOP").startswith("250")
    assert subjects(cluster, user) == ["m"]  # a thousand times the same recipient is one
    with wire.Imap(cluster, user) as imap:
        imap.command("CREATE " + "x" * 70000, allow=("NO", "BAD"))
        imap.command("NOOP")
        assert b"APPENDLIMIT=%d" % size in b" ".join(imap.command("CAPABILITY"))
        imap.send(b"big APPEND INBOX {%d}\r\n" % (size + 1))
        imap.finish(b"big", ("NO",))
        assert imap.code == "TOOBIG"
        imap.command("NOOP")
    with wire.Pop3(cluster, user) as pop:
        assert pop.command("NOOP " + "x" * 5000).startswith("-ERR")
        assert pop.command("NOOP").startswith("+OK")


def test_p7_message_of_the_largest_size(build):
    """Exactly message_size_max is taken, one octet more is not, by DATA, BDAT and APPEND."""
    cluster = harness.Cluster(build, frontend={"message_size_max": "1M"})
    try:
        cluster.start()
        user = cluster.add_user()
        head = b"Subject: big\r\n\r\n"
        largest = head + (b"x" * 1022 + b"\r\n") * 1023
        largest += b"y" * ((1 << 20) - len(largest) - 2) + b"\r\n"
        assert len(largest) == 1 << 20
        larger = largest[:-2] + b"y\r\n"
        with wire.Smtp(cluster) as smtp:
            for send in (smtp.data, smtp.bdat):
                smtp.envelope([user])
                assert send(largest).startswith("250")
                smtp.envelope([user])
                assert send(larger).startswith("552 5.3.4")
                smtp.command("RSET")
        with wire.Imap(cluster, user, select="INBOX") as imap:
            imap.append("INBOX", largest)
            imap.append("INBOX", larger, allow=("NO",))
            assert imap.code == "TOOBIG"
            assert imap.exists() == 3
    finally:
        problems = cluster.stop()
    assert not problems, problems


def test_p7_quota(own_cluster):
    cluster = own_cluster
    user = cluster.add_user(quota="100K")
    with wire.Smtp(cluster) as smtp:
        smtp.envelope([user])
        assert smtp.data(numbered("big", 90000)).startswith("250")
        assert smtp.command("MAIL FROM:<a@b.test> SIZE=20000").startswith("250")
        assert smtp.command("RCPT TO:<%s>" % user).startswith("452 4.2.2")
    with wire.Imap(cluster, user, select="INBOX") as imap:
        imap.append("INBOX", numbered("x", 20000), allow=("NO",))
        assert imap.code == "OVERQUOTA"
        imap.command("COPY 1 Archive", allow=("NO",))
        assert imap.code == "OVERQUOTA"
        imap.command(r"STORE 1 +FLAGS (\Deleted)")
        imap.command("EXPUNGE")
        imap.append("INBOX", numbered("x", 20000))


# P8 is test_bad_input.py.


@pytest.fixture
def fragile(build):
    """A cluster whose storage node may end with an error."""
    cluster = harness.Cluster(build)
    cluster.start()
    yield cluster
    problems = cluster.stop()
    assert not problems, problems


@pytest.mark.parametrize("error,call", [("EIO", "fsync,fdatasync"), ("EIO", "write,pwrite64"), ("ENOSPC", "fdatasync")])
def test_p9_failed_write_or_fsync_ends_the_process(fragile, error, call):
    """The disk says no once: the storage node ends rather than guess, and nothing acknowledged is lost."""
    cluster, user = fragile, fragile.add_user()
    for i in range(3):
        wire.deliver(cluster, user, numbered("before%d" % i))
    cluster.storage.kill()
    # LeakSanitizer cannot work under ptrace.
    cluster.storage.start({"ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0"})
    data = cluster.path("storage")
    arguments = ["-e", "inject=%s:error=%s" % (call, error)]
    if "write" in call:
        arguments += ["-P", newest_log(data)]
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=" + call] + arguments +
                              ["-p", str(cluster.storage.pid)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    cluster.expect_error(".")  # the node says what happened; the front-end may too
    cluster.storage.may_fail = True
    delivery = threading.Thread(target=wire.deliver, args=(cluster, user, numbered("during")))
    try:
        time.sleep(1.0)  # for strace to attach
        delivery.start()
        wait_for(lambda: not cluster.storage.is_running(), 30, "the end of the storage node")
    finally:
        tracer.kill()
        tracer.wait()
    assert cluster.storage.child.returncode != 0
    log = cluster.storage.log()
    assert re.search(r"Z error ", log), log[-2000:]
    assert not harness.SANITIZER_REPORT.search(log), log[-3000:]
    cluster.storage.start()
    delivery.join(60)  # the front-end has tried again: once
    # Its answer may have been that of the queue, which delivers a moment later.
    wait_for(lambda: len(subjects(cluster, user)) >= 4, what="mail from the queue")
    assert subjects(cluster, user) == ["before0", "before1", "before2", "during"]


def newest_log(data):
    """RocksDB's write-ahead log."""
    logs = [name for name in os.listdir(data) if re.fullmatch(r"\d+\.log", name)]
    return os.path.join(data, max(logs, key=lambda name: int(name.split(".")[0])))


@pytest.fixture
def small_disk():
    """A file system of 200 MB of its own."""
    folder = tempfile.mkdtemp(prefix="tern-disk-")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", folder], capture_output=True).returncode == 0
    if not mounted:
        shutil.rmtree(folder)
        pytest.skip("cannot mount a file system here (not root?)")
    yield folder
    subprocess.run(["umount", "-l", folder])
    shutil.rmtree(folder, ignore_errors=True)


def test_p9_full_disk_refuses_mail_but_reads_and_deletes(build, small_disk):
    cluster = harness.Cluster(build, storage_folder=os.path.join(small_disk, "storage"),
                              storage={"disk_reserve": "60M", "wal_size_max": "16M", "memory_limit": "64M"})
    try:
        cluster.start()
        user = cluster.add_user()
        with wire.Imap(cluster, user) as imap:
            imap.append("INBOX", numbered("first"))
        filler = os.path.join(small_disk, "filler")
        with open(filler, "wb") as out:
            free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
            out.write(bytes(free - (50 << 20)))

        def is_refused():
            with wire.Smtp(cluster) as smtp:
                smtp.command("MAIL FROM:<a@b.test>")
                answer = smtp.command("RCPT TO:<%s>" % user)
                if answer.startswith("250"):
                    answer = smtp.data(numbered("more"))
                assert answer.startswith(("250", "452 4.3.1")), answer
                return answer.startswith("4")

        wait_for(is_refused, 20, "refusal of mail on a full disk")
        with wire.Imap(cluster, user, select="INBOX") as imap:
            imap.append("INBOX", numbered("append"), allow=("NO",))
            assert imap.code == "UNAVAILABLE"
            got = imap.fetch("1:*", "(ENVELOPE BODY.PEEK[])")
            assert got[1]["BODY[]"] == numbered("first")
            imap.command(r"STORE 1 +FLAGS (\Deleted)")  # deleting works
            imap.command("EXPUNGE")
            assert len(got) - 1 == imap.exists()
        os.unlink(filler)
        wait_for(lambda: not is_refused(), 30, "mail taken again")
    finally:
        problems = cluster.stop()
    assert not problems, problems


def test_p9_start_on_a_full_disk(build, small_disk):
    """A node that finds no room says so and ends; with room it goes on with all it had."""
    cluster = harness.Cluster(build, storage_folder=os.path.join(small_disk, "storage"), storage={"disk_reserve": "10M"})
    try:
        cluster.start()
        user = cluster.add_user()
        wire.deliver(cluster, user, numbered("kept"))
        cluster.storage.kill()
        filler = os.path.join(small_disk, "filler")
        with open(filler, "wb") as out:
            out.write(bytes(os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize - (1 << 20)))
        cluster.storage.start(wait_ready=False)
        assert cluster.storage.child.wait(timeout=20) == 1
        cluster.expect_error("is full")
        cluster.expect_error("out of disk space")
        os.unlink(filler)
        cluster.storage.start()
        with wire.Imap(cluster, user, select="INBOX") as imap:
            wait_for(lambda: imap.fetch("1", "BODY.PEEK[]")[1]["BODY[]"].endswith(numbered("kept")), 20, "the message")
    finally:
        problems = cluster.stop()
    assert not problems, problems


def test_p9_full_disks_of_backups(build):
    """One of three disks is short of room: mail flows. Two are: it is refused, though the primary has room; all else goes on."""
    cluster = harness.Cluster(build, storages=3)

    def set_reserve(process, *settings):
        process.stop()
        process.command = [*process.command[:3], *settings]
        process.start()

    def told():
        return [text for text in cluster.ctl_json("cluster", "status")["problems"] if "disk_reserve" in text]

    def is_refused(user):
        with wire.Smtp(cluster) as smtp:
            smtp.envelope([user])
            answer = smtp.data(numbered("more"))
            assert answer.startswith(("250", "452 4.3.1")), answer
            return answer.startswith("4")

    try:
        cluster.start()
        users = [cluster.add_user() for _ in range(4)]
        for user in users:
            wire.deliver(cluster, user, numbered("first"))
        set_reserve(cluster.storages[2], "--set", "disk_reserve=1000T")
        wait_for(lambda: len(told()) == 1, 30, "that a disk is full")
        for _ in range(3):
            assert not any([is_refused(user) for user in users])
        wait_for(lambda: all(n["primaries"] == 0 for n in cluster.ctl_json("node", "list") if n["name"] == "n3"), 20, "its seats given away")
        set_reserve(cluster.storages[1], "--set", "disk_reserve=1000T")
        wait_for(lambda: len(told()) == 2, 30, "that two disks are full")
        wait_for(lambda: all([is_refused(user) for user in users]), 20, "refusal of mail")
        for user in users:
            with wire.Imap(cluster, user, select="INBOX") as imap:
                imap.append("INBOX", numbered("append"), allow=("NO",))
                assert imap.code == "UNAVAILABLE"
                imap.command(r"STORE 1 +FLAGS (\Deleted)")
                imap.command("EXPUNGE")
        set_reserve(cluster.storages[1])
        wait_for(lambda: not any([is_refused(user) for user in users]), 30, "mail taken again")
    finally:
        problems = cluster.stop()
    assert not problems, problems
