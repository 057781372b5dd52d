# SPDX-License-Identifier: Apache-2.0
"""P5 to P7: a message appears at once, its body is kept once, and everything has a bound. (P8 is test_bad_input.py.)"""
import base64
import os
import re
import subprocess
import threading
import time

import harness
import wire
from load import numbered, subjects


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


def written(process):
    """Bytes that it has had written to disk."""
    with open("/proc/%d/io" % process.pid) as io:
        return int(re.search(r"^write_bytes: (\d+)", io.read(), re.M).group(1))


def test_p6_a_body_is_written_twice(build):
    """On each replica: to the write-ahead log and to a blob file. Flags, copies, moves and the compactions they cause write none of
    it again."""
    with harness.started(build, storages=2, partitions=1, storage={"memory_limit": "128M", "wal_size_max": "16M"}) as cluster:
        user = cluster.add_user()
        bodies = [base64.encodebytes(os.urandom(3 << 20)) for _ in range(12)]
        size = sum(len(body) for body in bodies)
        before = [written(node) for node in cluster.storages]
        for n, body in enumerate(bodies):
            wire.deliver(cluster, user, b"Subject: body %d\r\n\r\n" % n + body.replace(b"\n", b"\r\n"))
        brought = [written(node) for node in cluster.storages]
        with wire.Imap(cluster, user, select="INBOX") as imap:
            for _ in range(40):
                imap.command("COPY 1:* Archive")
                imap.command(r"STORE 1:* +FLAGS.SILENT (\Seen \Flagged $Label)")
                imap.command(r"STORE 1:* -FLAGS.SILENT (\Seen \Flagged $Label)")
            imap.command("MOVE 1:* Trash")
            imap.command("SELECT Trash")
            assert imap.fetch("12", "BODY.PEEK[TEXT]")[12]["BODY[TEXT]"].replace(b"\r\n", b"\n") == bodies[11]
        after = [written(node) for node in cluster.storages]
        print("written of %d: %s, then %s" % (size, [b - a for a, b in zip(before, brought)], [b - a for a, b in zip(brought, after)]))
        for first, second, third in zip(before, brought, after):
            assert second - first < 2.5 * size
            assert third - second < 0.5 * size


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
    with harness.started(build, frontend={"message_size_max": "1M"}) as cluster:
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
