# SPDX-License-Identifier: Apache-2.0
"""Copies move: a node is added, drained, removed, replaced, stopped in order, while mail comes in and is read; what was acknowledged
stays, and moving is only as much as the balance needs."""
import re
import shutil
import subprocess
import threading
import time

import pytest

import harness
import wire
from harness import wait_for
from test_failover import Reader, check
from test_promises import ImapWriter, SmtpWriter, numbered

PARTITIONS = 16
MOVE_TIMEOUT = 90.0
HANDOVER_PAUSE_MAX = 1.0  # seconds that a planned hand-over adds to an operation, sanitizers included; leases need 1.5


def add_storage(cluster, name, zone=""):
    """One more storage node, started."""
    process = cluster._process("storage-node", dict(
        user="", keys=cluster.keys, data=cluster.path("storage-" + name), listen="tcp://127.0.0.1:%d" % harness.free_port(),
        peer_listen="tcp://127.0.0.1:%d" % harness.free_port(), beat_listen="tcp://127.0.0.1:%d" % harness.free_port(),
        name=name, zone=zone, directors=[cluster.ternctl[cluster.ternctl.index("--director") + 1]], disk_reserve="16M"), "-" + name)
    cluster.storages.append(process)
    cluster.processes.insert(1, process)
    process.start()
    return process


def node_id(cluster, name):
    return next(node["id"] for node in cluster.ctl_json("node", "list") if node["name"] == name)


def partitions(cluster):
    return cluster.ctl_json("partition", "list")


def copies_on(cluster, node):
    return sum(node in p["members"] + p["learners"] for p in partitions(cluster))


def primaries_on(cluster, node):
    return sum(p["primary"] == node for p in partitions(cluster))


def settled(cluster, copies=3):
    return all(len(p["members"]) == copies and not p["learners"] for p in partitions(cluster))


def moves_begun(cluster):
    return len(re.findall(r"node \d+ is to have a copy", cluster.director.log()))


class Load:
    """Writers and a reader of one account; everything acknowledged is there at the end, once."""

    def __init__(self, cluster):
        self.cluster, self.user = cluster, cluster.add_user()
        self.writers = [SmtpWriter(cluster, self.user, "smtp"), ImapWriter(cluster, self.user, "imap")]
        self.reader = Reader(cluster, self.user)

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        for thread in (*self.writers, self.reader):
            thread.end()
        if kind is None:
            assert not self.reader.mistakes, self.reader.mistakes[:10]
            assert sum(len(w.acknowledged) for w in self.writers) > 20
            check(self.cluster, self.user, self.writers)


class Pulse(threading.Thread):
    """One account, written to and read from without a pause; how long each operation took."""

    def __init__(self, cluster, user):
        super().__init__()
        self.cluster, self.user, self.stopping = cluster, user, False
        self.longest, self.refused, self.count = 0.0, [], 0
        self.start()

    def timed(self, work):
        begin = time.monotonic()
        work()
        self.longest = max(self.longest, time.monotonic() - begin)
        self.count += 1

    def write(self, imap):
        imap.append("INBOX", numbered("pulse"), allow=("OK", "NO"))
        if not imap.status.startswith("OK"):
            self.refused.append(imap.status)

    def run(self):
        with wire.Imap(self.cluster, self.user, timeout=30, select="INBOX") as imap:
            while not self.stopping:
                self.timed(lambda: self.write(imap))
                self.timed(lambda: imap.command("STATUS INBOX (MESSAGES UNSEEN)"))
                time.sleep(0.02)

    def end(self):
        self.stopping = True
        self.join(60)
        assert not self.is_alive()


@pytest.fixture
def trio(build):
    cluster = harness.Cluster(build, storages=3, partitions=PARTITIONS, director={"repair_after": "5m"})
    try:
        cluster.start()
        yield cluster
    finally:
        problems = cluster.stop()
    assert not problems, problems


def test_add_and_drain(trio):
    """A fourth node takes its share and no more; drained, it is empty again, and can be removed for ever."""
    cluster = trio
    with Load(cluster):
        process = add_storage(cluster, "n4")
        fourth = node_id(cluster, "n4")
        wait_for(lambda: copies_on(cluster, fourth) == PARTITIONS * 3 // 4 and settled(cluster), MOVE_TIMEOUT, "an even spread")
        assert moves_begun(cluster) == PARTITIONS * 3 // 4
        wait_for(lambda: primaries_on(cluster, fourth) == PARTITIONS // 4, MOVE_TIMEOUT, "even primaries")
        cluster.ctl("node", "drain", str(fourth))
        wait_for(lambda: copies_on(cluster, fourth) == 0 and settled(cluster), MOVE_TIMEOUT, "an empty node")
        refused = cluster.ctl("node", "remove", str(node_id(cluster, "n1")), check=False)
        assert refused.returncode != 0 and "drain" in refused.stderr, refused.stderr
        cluster.ctl("node", "remove", str(fourth))
        assert "n4" not in [node["name"] for node in cluster.ctl_json("node", "list")]
        cluster.expect_error("the director refuses this node: node %d .n4. was removed" % fourth)
        wait_for(lambda: "was removed from this cluster" in process.log(), 10, "the removed node says why")
        process.stop()


def test_drain_without_room(trio):
    """Three copies on three nodes: a drained one gives its primaries away and keeps its copies, until there is another node."""
    cluster = trio
    first = node_id(cluster, "n1")
    cluster.ctl("node", "drain", str(first))
    wait_for(lambda: primaries_on(cluster, first) == 0, MOVE_TIMEOUT, "no primaries")
    assert copies_on(cluster, first) == PARTITIONS and settled(cluster)
    wait_for(lambda: "drains, but only 2 other nodes" in str(cluster.ctl_json("cluster", "status")["problems"]), 30, "its telling so")
    cluster.ctl("node", "drain", str(first), "--undo")
    wait_for(lambda: primaries_on(cluster, first) >= PARTITIONS // 3, MOVE_TIMEOUT, "its share of primaries")


def test_lost_node(trio):
    """A node dies for good and is removed: the copies are made anew at once, long before repair_after."""
    cluster = trio
    with Load(cluster):
        add_storage(cluster, "n4")
        second = node_id(cluster, "n2")
        cluster.storages[1].kill()
        cluster.storages[1].may_fail = True

        def empty_but_refused():  # nothing counts on it any more, yet it may come back
            done = cluster.ctl("node", "remove", str(second), check=False)
            assert done.returncode != 0
            return "it was not drained" in done.stderr

        def removed():
            done = cluster.ctl("node", "remove", str(second), "--lost", check=False)
            return done.returncode == 0 or "no such node" in done.stderr
        assert not removed()  # it has been silent for too short a time
        wait_for(empty_but_refused, 30, "others stand in for the lost node", interval=0.5)
        wait_for(removed, 30, "the lost node is removed", interval=0.5)
        wait_for(lambda: settled(cluster), MOVE_TIMEOUT, "copies made anew")
        cluster.expect_error("the director refuses this node: node %d .n2. was removed" % second)
        cluster.storages[1].start(wait_ready=False)
        wait_for(lambda: "was removed from this cluster" in cluster.storages[1].log(), 20, "the returning node says why")


def longest(pulses, seconds, action):
    """The longest operation of any while `action` is done and for some seconds."""
    for pulse in pulses:
        pulse.longest = 0.0
    action()
    time.sleep(seconds)
    return max(pulse.longest for pulse in pulses)


def test_stop_in_order(trio):
    """A node that is asked to end hands over first: its users wait for a moment, not for leases to run out. So do all in turn."""
    cluster = trio
    users = [cluster.add_user() for _ in range(8)]
    pulses = [Pulse(cluster, user) for user in users]
    figures = []
    try:
        for process in list(cluster.storages):
            noise = longest(pulses, 2, lambda: None)  # of the machine
            figures.append(longest(pulses, 2, process.stop) - noise)
            process.start()
            wait_for(lambda: settled(cluster), MOVE_TIMEOUT, "every copy is back")
    finally:
        for pulse in pulses:
            pulse.end()
    print("longest operation while a node was stopped, beyond that before it: %s s" % " ".join("%.3f" % f for f in figures))
    assert not [r for pulse in pulses for r in pulse.refused]
    assert all(pulse.count > 50 for pulse in pulses)
    assert max(figures) < HANDOVER_PAUSE_MAX, figures
    for process in cluster.storages:
        assert "not in time: 0 seats" in process.log()


def test_recover(trio):
    """The members of a partition are gone for good; it goes on from an older copy, with a new UIDVALIDITY."""
    cluster, user = trio, trio.add_user()
    partition = cluster.ctl_json("partition", "show", user)["partition"]
    for i in range(5):
        wire.deliver(cluster, user, numbered("old%d" % i))

    def uidvalidity():
        with wire.Imap(cluster, user) as imap:
            status = imap.command("STATUS INBOX (UIDVALIDITY)")
            return int(re.search(rb"UIDVALIDITY (\d+)", b" ".join(status) if isinstance(status, list) else status).group(1))
    before = uidvalidity()
    shown = cluster.ctl_json("partition", "show", user)
    keeper = next(n for n in shown["members"] if n != shown["primary"])
    names = {node["id"]: node["name"] for node in cluster.ctl_json("node", "list")}
    old = cluster.storages[int(names[keeper][1:]) - 1]
    others = [process for process in cluster.storages if process is not old]
    old.kill()
    wait_for(lambda: all(keeper not in p["members"] for p in partitions(cluster)), 30, "the others go on without it")
    wire.deliver(cluster, user, numbered("new"))  # on the two others only
    for process in others:
        process.kill()
        process.may_fail = True
    old.start(wait_ready=False)
    done = cluster.ctl("partition", "recover", str(partition), "--from", str(keeper), check=False)
    assert done.returncode != 0

    def recover(number):
        return cluster.ctl("partition", "recover", str(number), "--from", str(keeper), "--accept-loss", check=False).returncode == 0
    for number in range(PARTITIONS):
        wait_for(lambda: recover(number), 40, "partition %d goes on" % number, interval=0.3)
    cluster.expect_error("a copy from before a recovery is given up")
    # min_members is 2: it serves writes again when a second copy is there, which is made of the old disk of another
    shutil.rmtree(cluster.path("storage-2" if others[0] is cluster.storages[1] else "storage"))
    for process in others:
        process.start(wait_ready=False)
    wait_for(lambda: settled(cluster) or sum(len(p["members"]) >= 2 for p in partitions(cluster)) == PARTITIONS, MOVE_TIMEOUT, "more copies")
    with wire.Imap(cluster, user, select="INBOX") as imap:
        got = [data["ENVELOPE"][1].decode() for data in imap.fetch("1:*", "(ENVELOPE)").values()]
    assert got == ["old%d" % i for i in range(5)]
    assert uidvalidity() > before
    wire.deliver(cluster, user, numbered("later"))
