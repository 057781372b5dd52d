# SPDX-License-Identifier: Apache-2.0
"""Three storage nodes with a copy of everything each: any one may die or hang while mail comes in and is read, and nothing that
was acknowledged is lost or doubled (P1, P2, P3), service is back in seconds, and the node that returns catches up."""
import select
import shutil
import signal
import time

import pytest

import conftest
import harness
import wire
from harness import primary_of, wait_for, whole
from load import ImapWriter, Reader, SmtpWriter, check, numbered

PAUSE_MAX = 5.0  # seconds without service after the loss of a node, sanitizers and a loaded machine included
REJOIN_MAX = 30.0
STALE_MAX = 0.6  # seconds, in which a lease (1 s, renewed every 0.2 s) would still let reads be served


@pytest.fixture(scope="module")
def trio(build):
    yield from conftest.run_cluster(build, storages=3)


def test_failover(trio):
    cluster, user = trio, trio.add_user()
    writers = [SmtpWriter(cluster, user, "smtp%d" % i) for i in range(2)] + [ImapWriter(cluster, user, "imap")]
    reader = Reader(cluster, user)
    pauses = []

    def acknowledged():
        return sum(len(w.acknowledged) for w in writers)

    def progress(count=10):
        goal, looks = acknowledged() + count, reader.looks + 2
        wait_for(lambda: acknowledged() >= goal and reader.looks >= looks, 60, "progress", interval=0.02)

    def served_again():
        """Writes and reads that began after now."""
        begin = time.monotonic()
        progress(4)
        pauses.append(time.monotonic() - begin)

    try:
        progress()
        for _ in range(2):
            victim = primary_of(cluster, user)
            victim.kill()
            served_again()
            victim.start()
            wait_for(lambda: whole(cluster), REJOIN_MAX, "every copy is back")
            progress()
        victim = primary_of(cluster, user)
        victim.signal(signal.SIGSTOP)
        served_again()
        time.sleep(max(0.0, 5 - pauses[-1]))
        victim.signal(signal.SIGCONT)
        wait_for(lambda: whole(cluster), REJOIN_MAX, "every copy is back")
        progress()
    finally:
        for thread in (*writers, reader):
            thread.end()
    print("without service: %s s; longest look %.2f s" % (" ".join("%.2f" % p for p in pauses), reader.longest))
    assert max(pauses) < PAUSE_MAX, pauses
    assert not reader.mistakes, reader.mistakes[:10]
    check(cluster, user, writers)


def test_new_disk(build):
    """A node that lost its disk is another node (R26): after `repair_after` it gets copies of everything, and counts."""
    with harness.started(build, storages=3, partitions=4, director={"repair_after": "2s"}) as cluster:
        user = cluster.add_user()
        for i in range(20):
            wire.deliver(cluster, user, numbered("m%d" % i, 100000))
        lost, other = cluster.storages[2], cluster.storages[1]
        before = cluster.ctl_json("node", "list")
        lost.kill()
        shutil.rmtree(cluster.path("storage-3"))
        lost.start(wait_ready=False)
        gone = next(node["id"] for node in before if node["name"] == "n3")
        wait_for(lambda: all(len(p["members"]) == 3 and gone not in p["members"] for p in cluster.ctl_json("partition", "list")),
                 60, "every copy is made anew")
        assert len(cluster.ctl_json("node", "list")) == 4
        other.kill()  # now the new copies are needed
        lost.wait_ready()
        wire.deliver(cluster, user, numbered("last"))
        cluster.storage.kill()  # one of three: reads and writes end (min_members), nothing is invented
        other.start(wait_ready=False)
        cluster.storage.start()
        with wire.Imap(cluster, user, select="INBOX") as imap:
            got = [data["ENVELOPE"][1].decode() for data in imap.fetch("1:*", "(ENVELOPE)").values()]
        assert got == ["m%d" % i for i in range(20)] + ["last"]


def test_reads_by_commit(build):
    """`linearizable_reads = "barrier"`: a read costs an entry, and without the other members none is served, lease or not."""
    with harness.started(build, storages=3, partitions=1, storage={"linearizable_reads": "barrier"}) as cluster:
        user = cluster.add_user()
        wire.deliver(cluster, user, numbered("one"))
        primary = primary_of(cluster, user)
        others = [node for node in cluster.storages if node is not primary]
        with wire.Imap(cluster, user, select="INBOX") as imap:
            before = primary.metric("tern_entries_proposed_total")
            for _ in range(20):
                assert imap.fetch("1", "(FLAGS)")
            assert primary.metric("tern_entries_proposed_total") >= before + 20
            for node in others:
                node.signal(signal.SIGSTOP)
            try:
                tag = imap.next_tag()
                imap.send(tag + b" FETCH 1 (FLAGS)\r\n")
                assert not select.select([imap.socket], [], [], STALE_MAX)[0], "served though nobody can have acknowledged it"
            finally:
                for node in others:
                    node.signal(signal.SIGCONT)
            imap.finish(tag)
        wait_for(lambda: whole(cluster), REJOIN_MAX, "every copy is back")


def test_front_end_starts_while_no_director_answers(trio):
    """The storage nodes tell it the map."""
    cluster, user = trio, trio.add_user()
    cluster.director.kill()
    cluster.frontend.kill()
    cluster.frontend.start()
    writer = SmtpWriter(cluster, user, "alone")
    wait_for(lambda: len(writer.acknowledged) >= 5, 60, "mail without a director", interval=0.02)
    writer.end()
    with wire.Imap(cluster, user) as imap:
        imap.command("SELECT INBOX")
        assert imap.exists() >= 5
    cluster.director.start()
    cluster.frontend.may_fail = cluster.director.may_fail = True


def test_command_over_a_failover(trio):
    """The first request of a ternctl is lost with the primary. It has seen no node's clock before, so its request's id is of no time that
    any node takes: nothing came of it, and the command goes on."""
    cluster, user = trio, trio.add_user()
    victim = primary_of(cluster, user)
    victim.signal(signal.SIGSTOP)
    try:
        cluster.ctl("user", "set", user, "--quota", "1G")
    finally:
        victim.signal(signal.SIGCONT)
    assert cluster.ctl_json("user", "show", user)["quota_bytes"] == 1 << 30
    wait_for(lambda: whole(cluster), REJOIN_MAX, "every copy is back")
