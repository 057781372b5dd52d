# SPDX-License-Identifier: Apache-2.0
"""Copies move: a node is added, drained, removed, replaced, stopped in order, while mail comes in and is read; what was acknowledged
stays, and moving is only as much as the balance needs."""
import re
import threading
import time

import pytest

import conftest
import harness
import wire
from harness import primary_of, wait_for
from load import ImapWriter, Reader, SmtpWriter, check, numbered

PARTITIONS = 16
MOVE_TIMEOUT = 90.0
STOP_TRIES = 3  # where the machine stands still in one
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
    return sum(map(int, re.findall(r"node \d+ is to have a copy of (\d+) partitions? ", cluster.director.log())))


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
    yield from conftest.run_cluster(build, storages=3, partitions=PARTITIONS, director={"repair_after": "5m"})


def test_add_and_drain(trio):
    """A fourth node takes its share and no more; drained, it is empty again, and can be removed for ever."""
    cluster = trio
    begun = len(cluster.director.log())
    with Load(cluster):
        process = add_storage(cluster, "n4")
        fourth = node_id(cluster, "n4")
        wait_for(lambda: copies_on(cluster, fourth) == PARTITIONS * 3 // 4 and settled(cluster), MOVE_TIMEOUT, "an even spread")
        wait_for(lambda: moves_begun(cluster) >= PARTITIONS * 3 // 4, what="the director's lines")
        wait_for(lambda: primaries_on(cluster, fourth) == PARTITIONS // 4, MOVE_TIMEOUT, "even primaries")
        # Whoever stood still for so long that others took its seats is given all its copies again.
        assert moves_begun(cluster) == PARTITIONS * 3 // 4 or "whose primary was lost" in cluster.director.log()[begun:]
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
    assert copies_on(cluster, first) == PARTITIONS
    wait_for(lambda: settled(cluster), MOVE_TIMEOUT, "every copy in step")
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
            tries = []
            while len(tries) < STOP_TRIES and (min(tries, default=HANDOVER_PAUSE_MAX) >= HANDOVER_PAUSE_MAX or
                                               "not in time: 0 seats" not in process.log()):
                noise = longest(pulses, 2, lambda: None)  # of the machine
                tries.append(longest(pulses, 2, process.stop) - noise)
                process.start()
                wait_for(lambda: settled(cluster), MOVE_TIMEOUT, "every copy is back")
            figures.append(min(tries))
    finally:
        for pulse in pulses:
            pulse.end()
    print("longest operation while a node was stopped, beyond that before it: %s s" % " ".join("%.3f" % f for f in figures))
    assert not [r for pulse in pulses for r in pulse.refused]
    assert all(pulse.count > 50 for pulse in pulses)
    assert max(figures) < HANDOVER_PAUSE_MAX, figures
    for process in cluster.storages:
        assert "not in time: 0 seats" in process.log()


CATCHING_UP = 12 << 20  # octets that a node has missed, more than the log keeps; seconds of copying at COPY_RATE


@pytest.fixture
def slow_copies(build):
    """One partition on three nodes that fetch what they missed at leisure."""
    yield from conftest.run_cluster(build, storages=3, partitions=1, storage={"copy_rate": "4M", "handover_timeout": "60s"})


def only_partition(cluster):
    return partitions(cluster)[0]


def fill_while_away(cluster, user):
    size = 400000
    for number in range(CATCHING_UP // size):
        wire.deliver(cluster, user, numbered("m%d" % number, size))


def node_name(process):
    return "n" + (process.name.partition("storage-node-")[2] or "1")


def start_catching_up(cluster, process):
    """It runs, and is a learner."""
    process.start(wait_ready=False)
    node = node_id(cluster, node_name(process))
    wait_for(lambda: node in only_partition(cluster)["learners"], 30, "it fetches what it missed", interval=0.01)
    return node


def test_stop_member_while_another_catches_up(slow_copies):
    """The nodes are restarted faster than they catch up: whoever is still needed ends when it is not, and nobody waits for that."""
    cluster, user = slow_copies, slow_copies.add_user()
    last, member = cluster.storages[2], next(p for p in cluster.storages[:2] if p is not primary_of(cluster, user))
    last.stop()
    wait_for(lambda: len(only_partition(cluster)["members"]) == 2, 30, "going on without it")
    fill_while_away(cluster, user)
    with Load(cluster):
        node = start_catching_up(cluster, last)
        member.stop()
        assert sorted(only_partition(cluster)["members"]) == sorted([node, node_id(cluster, node_name(primary_of(cluster, user)))])
        assert "0 seats, 0 memberships" in member.log()


def test_stop_last_member_while_another_catches_up(slow_copies):
    """As before, with the only one that has everything: it hands over to whom it has waited for."""
    cluster, user = slow_copies, slow_copies.add_user()
    last = cluster.storages[2]
    last.stop()
    wait_for(lambda: len(only_partition(cluster)["members"]) == 2, 30, "going on without it")
    fill_while_away(cluster, user)
    primary = primary_of(cluster, user)
    member = next(p for p in cluster.storages[:2] if p is not primary)
    member.stop()
    wait_for(lambda: len(only_partition(cluster)["members"]) == 1, 30, "going on without it")
    node = start_catching_up(cluster, last)
    primary.stop()
    assert "0 seats, 0 memberships" in primary.log()
    assert only_partition(cluster)["primary"] == node
    with wire.Imap(cluster, user) as imap:  # which nobody else could serve
        assert imap.exists() == CATCHING_UP // 400000
    member.start()  # and writes go on with it
    wire.deliver(cluster, user, numbered("last"))


BYE_UIDVALIDITY = b"* BYE The selected mailbox has a new UIDVALIDITY, connect again"


def test_recover(trio):
    """The members of a partition are gone for good; it goes on from an older copy, with a new UIDVALIDITY. Sessions of before end without
    having used a UID of the one life in the other."""
    cluster, user = trio, trio.add_user()
    partition = cluster.ctl_json("partition", "show", user)["partition"]
    for i in range(5):
        wire.deliver(cluster, user, numbered("old%d" % i))

    def uidvalidity():
        with wire.Imap(cluster, user) as imap:
            status = imap.command("STATUS INBOX (UIDVALIDITY)")
            return int(re.search(rb"UIDVALIDITY (\d+)", b" ".join(status) if isinstance(status, list) else status).group(1))
    before = uidvalidity()
    names = {node["id"]: node["name"] for node in cluster.ctl_json("node", "list")}

    def kill(node):
        process = cluster.storages[int(names[node][1:]) - 1]
        process.kill()
        process.may_fail = True
        return process

    def kill_backup():
        shown = cluster.ctl_json("partition", "show", user)
        node = next(n for n in shown["members"] if n != shown["primary"])
        process = kill(node)
        wait_for(lambda: all(node not in p["members"] for p in partitions(cluster)), 30, "the others go on without it")
        return node, process
    older, first = kill_backup()
    wire.deliver(cluster, user, numbered("new"))  # on the two others only
    idling, silent = wire.Imap(cluster, user, select="INBOX"), wire.Imap(cluster, user, select="INBOX")
    idling.send("i IDLE\r\n")
    assert idling.line() == b"+ idling"
    pop3 = wire.Pop3(cluster, user)
    assert pop3.command("DELE 1").startswith("+OK")
    newer, second = kill_backup()
    lost = next(n for n in names if n not in (older, newer))
    last = kill(lost)
    first.start(wait_ready=False)
    second.start(wait_ready=False)
    wait_for(lambda: len(cluster.ctl_json("partition", "recover")) == PARTITIONS, 30, "every partition is lost")
    wait_for(lambda: all({c["node"] for c in p["copies"]} == {older, newer} for p in cluster.ctl_json("partition", "recover")), 30, "both copies")
    copies = cluster.ctl_json("partition", "recover")
    assert all(p["members"] == [lost] and sum(c["newest"] for c in p["copies"]) == 1 for p in copies)
    mine = {c["node"]: c for c in next(p for p in copies if p["partition"] == partition)["copies"]}
    assert mine[newer]["newest"] and (mine[newer]["epoch"], mine[newer]["last"]) > (mine[older]["epoch"], mine[older]["last"])
    assert {c["node"]: c["last"] for c in cluster.ctl_json("partition", "show", user)["spares"]} == {n: mine[n]["last"] for n in mine}
    print(cluster.ctl("partition", "recover"))

    done = cluster.ctl("partition", "recover", "--all", check=False)
    assert done.returncode != 0 and "--accept-loss" in done.stderr
    wait_for(lambda: cluster.ctl("partition", "recover", str(partition), "--from", names[older], "--accept-loss", check=False).returncode == 0, 30,
             "the older one is taken, because it was named")
    told = cluster.ctl("partition", "recover", "--all", "--accept-loss").splitlines()
    assert len(told) == PARTITIONS - 1 and all("goes on from the copy of node" in line for line in told)
    cluster.expect_error("a copy from before a recovery is given up")
    wait_for(lambda: sum(len(p["members"]) >= 2 for p in partitions(cluster)) == PARTITIONS, MOVE_TIMEOUT, "more copies")
    last.start(wait_ready=False)
    wait_for(lambda: settled(cluster), MOVE_TIMEOUT, "all copies")
    assert idling.line() == BYE_UIDVALIDITY and idling.is_closed(10)
    silent.send("s UID STORE 1:* FLAGS (\\Deleted)\r\n")
    assert silent.line() == BYE_UIDVALIDITY and silent.is_closed(10)
    assert pop3.command("QUIT").startswith("-ERR [SYS/TEMP] the maildrop has been replaced")
    with wire.Imap(cluster, user, select="INBOX") as imap:
        rows = imap.fetch("1:*", "(FLAGS ENVELOPE)").values()
    assert [data["ENVELOPE"][1].decode() for data in rows] == ["old%d" % i for i in range(5)]
    assert not any(b"\\Deleted" in data["FLAGS"] for data in rows)
    assert uidvalidity() > before
    wire.deliver(cluster, user, numbered("later"))
