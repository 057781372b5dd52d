# SPDX-License-Identifier: Apache-2.0
"""A cluster whose programs are replaced by those of the next version while mail comes in and is read, as docs/operations.md
("Upgrading") says: held back first, gone back from, then for good. The next version is tests/cluster/next: it speaks one more of
whatever a storage node speaks. And what users see of a front-end that is newer than a storage node: tests/cluster/before."""
import os

import harness
import wire
from harness import wait_for, whole
from load import ImapWriter, Reader, SmtpWriter, check, numbered, subjects

WHOLE_MAX = 60.0


def versions(cluster):
    """Of the entries of all partitions."""
    return {p["machine_version"] for p in cluster.ctl_json("partition", "list")}


def problems(cluster):
    return cluster.ctl_json("cluster", "status")["problems"]


class Roller:
    """Replaces programs, each time until all copies are in step again and clients have got something done."""

    def __init__(self, cluster, writers, reader):
        self.cluster, self.writers, self.reader = cluster, writers, reader
        self.old = cluster.storage.command[0]
        self.next = os.path.join(cluster.build, "tests", "tern-storage-node-next")

    def progress(self):
        def acknowledged():
            return sum(len(w.acknowledged) for w in self.writers)
        goal, looks = acknowledged() + 10, self.reader.looks + 2
        wait_for(lambda: acknowledged() >= goal and self.reader.looks >= looks, 60, "progress", interval=0.02)

    def replace(self, process, program, settings=(), wait_ready=True):
        process.stop()
        process.command = [program, *process.command[1:3]]
        for setting in settings:
            process.command += ["--set", setting]
        process.start(wait_ready=wait_ready)

    def roll(self, processes, program, settings=()):
        for process in processes:
            self.replace(process, program, settings)
            wait_for(lambda: whole(self.cluster), WHOLE_MAX, "every copy is back")
            self.progress()


def test_rolling_upgrade(build):
    with harness.started(build, storages=3) as cluster:
        # Also whoever is just being restarted by this test is a reason.
        cluster.expect_error(r"speaks up to 1: upgrade its program")
        user = cluster.add_user()
        writers = [SmtpWriter(cluster, user, "smtp%d" % i) for i in range(2)] + [ImapWriter(cluster, user, "imap")]
        reader = Reader(cluster, user)
        roller = Roller(cluster, writers, reader)
        n1, n2, n3 = cluster.storages
        try:
            roller.progress()
            # Held back: nothing is raised, and there is a way back.
            roller.roll([n1, n2, n3], roller.next, ["machine_version_max=1"])
            assert versions(cluster) == {1}
            roller.roll([n2], roller.old)
            assert versions(cluster) == {1}
            wait_for(lambda: not problems(cluster), 30, "health")
            # For good: raised when the last one speaks more.
            roller.roll([n1, n2], roller.next)
            assert versions(cluster) == {1}
            roller.roll([n3], roller.next)
            wait_for(lambda: versions(cluster) == {2}, 30, "the raise")
            roller.progress()
            wait_for(lambda: not problems(cluster), 30, "health")
            # An older program now leaves its copies alone and says why; the others go on, and it loses nothing.
            roller.replace(n1, roller.old, wait_ready=False)
            wait_for(lambda: any("(n1) speaks state-machine versions up to 1" in p for p in problems(cluster)), 30,
                     "that it is told of")
            roller.progress()
            roller.roll([n1], roller.next)
            wait_for(lambda: not problems(cluster), 30, "health")
            # The others speak nothing else, but are restarted all the same.
            cluster.director.stop()
            cluster.director.start()
            roller.progress()
            cluster.frontend.stop()
            cluster.frontend.start()
            roller.progress()
        finally:
            for thread in (*writers, reader):
                thread.end()
        assert not reader.mistakes, reader.mistakes[:10]
        check(cluster, user, writers)


LARGE = 600000  # octets of a message that is sent in pieces
WRITES = ["CREATE Other", "STORE 1 +FLAGS (\\Seen)", "COPY 1 INBOX", "SEARCH TEXT first"]


def ask_in_vain(imap, pop3, user):
    """What needs methods that the node does not know fails for now, and in order: the session goes on."""
    for command in WRITES:
        imap.command(command, allow=("NO",))
        assert imap.code == "UNAVAILABLE", imap.status
    for size in (2000, LARGE):
        imap.append("INBOX", numbered("appended", size), allow=("NO",))
        assert imap.code == "UNAVAILABLE", imap.status
    imap.send(b"i IDLE\r\n")
    assert imap.line().startswith(b"+")
    imap.send(b"DONE\r\n")
    imap.finish(b"i")
    assert imap.fetch("1", "(BODY.PEEK[])")[1]["BODY[]"].endswith(numbered("first"))
    assert pop3.command("USER " + user).startswith("+OK")
    answer = pop3.command("PASS " + harness.PASSWORD)
    assert answer.startswith("-ERR [SYS/TEMP]"), answer


def test_frontend_is_newer(build):
    """A front-end asks an older storage node for what that does not know: a temporary error for its user, never one that mail is
    returned for. The same session is served when the node has been upgraded."""
    with harness.started(build) as cluster:
        user, node = cluster.add_user(), cluster.storage
        program = node.command[0]
        wire.deliver(cluster, user, numbered("first"))
        with wire.Imap(cluster, user, select="INBOX") as imap, wire.Pop3(cluster) as pop3, wire.Smtp(cluster) as smtp:
            node.stop()
            node.command[0] = os.path.join(cluster.build, "tests", "tern-storage-node-before")
            node.start()
            ask_in_vain(imap, pop3, user)
            smtp.envelope([user])
            answer = smtp.data(numbered("queued"))
            assert answer.startswith("250 2.0.0 queued"), answer
            done = cluster.ctl("user", "set", user, "--quota", "1G", check=False)
            assert done.returncode != 0 and "temporarily unavailable" in done.stderr, done.stderr
            assert "its program is older than this one" in cluster.frontend.log()
            node.stop()
            node.command[0] = program
            node.start()
            for command in WRITES:
                imap.command(command)
            for size in (2000, LARGE):
                imap.append("INBOX", numbered("appended", size))
            assert pop3.command("USER " + user).startswith("+OK")
            assert pop3.command("PASS " + harness.PASSWORD).startswith("+OK")
            smtp.envelope([user])
            assert smtp.data(numbered("last")).startswith("250 2.0.0 delivered")
        wait_for(lambda: sorted(subjects(cluster, user)) == sorted(["first"] * 2 + ["appended"] * 2 + ["queued", "last"]), 60,
                 "mail that waited")
