# SPDX-License-Identifier: Apache-2.0
"""The coordination store is put back from an older copy (R27): partitions go on from what the nodes have, and nothing is lost."""
import re
import shutil

import pytest

import harness
import wire
from harness import wait_for
from test_moves import add_storage, copies_on, node_id

PARTITIONS = 8
PUT_BACK = "put back from an older copy"
RECOVER_TIMEOUT = 60


def message(text):
    return b"Subject: %s\r\n\r\nbody\r\n" % text.encode()


class Restored:
    """A cluster of three nodes, its director's store as it was once, and the mail that was acknowledged since."""

    def __init__(self, cluster):
        self.cluster, self.copy, self.sent = cluster, cluster.path("director-copy"), []
        self.user = cluster.add_user()
        self.validity = self.mailbox()[0]

    def deliver(self, text):
        wire.deliver(self.cluster, self.user, message(text))
        self.sent.append(text)

    def mailbox(self):
        """UIDVALIDITY and the subjects."""
        with wire.Imap(self.cluster, self.user, select="INBOX") as imap:
            status = imap.command("STATUS INBOX (UIDVALIDITY MESSAGES)")
            text = b" ".join(status) if isinstance(status, list) else status
            validity = int(re.search(rb"UIDVALIDITY (\d+)", text).group(1))
            count = int(re.search(rb"MESSAGES (\d+)", text).group(1))
            rows = imap.fetch("1:*", "(ENVELOPE)").values() if count else []
            return validity, [row["ENVELOPE"][1].decode() for row in rows]

    def check(self):
        assert self.mailbox() == (self.validity, self.sent)

    def settled(self):
        return all(len(p["members"]) == 3 and not p["learners"] for p in self.cluster.ctl_json("partition", "list"))

    def healthy(self):
        """Nothing is wrong any more, as a person is told."""
        return self.settled() and not self.cluster.ctl_json("cluster", "status")["problems"]

    def keep_copy(self, meanwhile=lambda: None):
        self.cluster.director.stop()
        shutil.copytree(self.cluster.path("director"), self.copy)
        meanwhile()
        self.cluster.director.start()

    def put_back(self, meanwhile=lambda: None):
        self.cluster.director.stop()
        shutil.rmtree(self.cluster.path("director"))
        shutil.copytree(self.copy, self.cluster.path("director"))
        meanwhile()
        self.log_from = len(self.cluster.director.log())
        self.cluster.director.start(wait_ready=False)

    def made(self):
        """Changes of configurations that the director has told of since the store was put back: none, or some."""
        return len(re.findall(r"node \d+ .* \d+ partitions? \(", self.cluster.director.log()[self.log_from:]))

    def fail_over(self, process, text):
        """A node is lost and comes back: every partition has new members twice, some a new primary."""
        process.kill()
        process.may_fail = True
        number = int(process.name.split("-")[-1]) if process.name[-1].isdigit() else 1
        node = next(n["id"] for n in self.cluster.ctl_json("node", "list") if n["name"] == "n%d" % number)
        wait_for(lambda: all(node not in p["members"] for p in self.cluster.ctl_json("partition", "list")), 30, "the others go on")
        self.deliver(text)
        process.start(wait_ready=False)
        wait_for(self.settled, 60, "all copies")

    def epochs(self):
        return {p["partition"]: p["epoch"] for p in self.cluster.ctl_json("partition", "list")}

    def told(self):
        return any(PUT_BACK in text for text in self.cluster.ctl_json("cluster", "status")["problems"])

    def recover(self):
        """As a person would: again while the director says so. What was told of each partition: one attempt may do some of them, if the
        director's time of not knowing ends in its midst."""
        told = []

        def done():
            result = self.cluster.ctl("partition", "recover", "--all", check=False)
            assert result.returncode == 0 or re.search("ask again|is not here", result.stderr), result.stderr
            said = [line.split(": ", 2)[2] for line in result.stderr.splitlines() if line.startswith("ternctl: recover partition")]
            assert all(a != b for a, b in zip(said, said[1:])), "the same is said once"
            told.extend(result.stdout.splitlines())
            return result.returncode == 0
        wait_for(done, RECOVER_TIMEOUT, "the recovery", interval=0.5)
        return told

    def known(self):
        """The highest epoch that any copy knows, by partition, of those that are ahead of the store."""
        return {p["partition"]: max(c["known"] for c in p["copies"])
                for p in self.cluster.ctl_json("partition", "recover") if p["ahead"] and len(p["copies"]) == 3}


@pytest.fixture
def restored(build):
    cluster = harness.Cluster(build, partitions=PARTITIONS, storages=3, director={"repair_after": "1h"})
    try:
        cluster.start()
        yield Restored(cluster)
    finally:
        problems = cluster.stop()
    assert not problems, problems


def test_nodes_that_run(restored):
    """Mail flows all the while; the commands bring all back, and front-ends and nodes follow the map again without a restart."""
    cluster = restored.cluster
    restored.deliver("before")
    restored.keep_copy()
    before = restored.epochs()
    restored.fail_over(cluster.storages[1], "since")
    after = restored.epochs()
    assert all(after[p] > before[p] for p in before)
    cluster.expect_error("the coordination store is older than this disk")
    restored.put_back()
    wait_for(restored.told, 30, "the problem is told")
    assert restored.epochs() == before
    restored.deliver("while the store is old")
    wait_for(lambda: len(restored.known()) == PARTITIONS, 30, "all copies are told of")
    known = restored.known()
    print(cluster.ctl("partition", "recover"))
    assert all(known[p] >= after[p] for p in known)
    told = restored.recover()
    assert len(told) == PARTITIONS and all(line.endswith("with nothing lost.") for line in told)
    assert all(restored.epochs()[p] > known[p] for p in known)
    wait_for(restored.healthy, RECOVER_TIMEOUT, "all is well")
    restored.deliver("recovered")
    restored.check()
    assert "Nothing is to be recovered" in cluster.ctl("partition", "recover", "--all")
    for process in cluster.storages[1:]:  # new maps reach everybody
        restored.fail_over(process, "after " + process.name)
    for process in (*cluster.storages, cluster.frontend):
        process.stop()
    for process in (*cluster.storages, cluster.frontend):
        process.start(wait_ready=False)
    cluster.frontend.wait_ready()
    wait_for(restored.healthy, RECOVER_TIMEOUT, "all is well after a restart")
    restored.deliver("restarted")
    restored.check()


def test_a_node_that_is_behind_speaks_first(restored):
    """It was lost in the moment of the copy, and comes back in the moment in which that is put back, before the others, which have gone on
    without it, have reached the director again: it is not given the seats that it had."""
    cluster, behind = restored.cluster, restored.cluster.storages[0]
    restored.deliver("before")
    first = next(n["id"] for n in cluster.ctl_json("node", "list") if n["name"] == "n1")
    wait_for(lambda: any(p["primary"] == first for p in cluster.ctl_json("partition", "list")), 60, "a seat to lose")
    restored.keep_copy(meanwhile=behind.kill)
    behind.may_fail = True
    wait_for(lambda: all(first not in p["members"] for p in cluster.ctl_json("partition", "list")), 30, "the others go on")
    restored.deliver("since")
    cluster.expect_error("the coordination store is older than this disk")
    restored.put_back(meanwhile=lambda: behind.start(wait_ready=False))
    wait_for(restored.told, 30, "the problem is told")
    assert restored.made() == 0
    restored.recover()
    wait_for(restored.healthy, RECOVER_TIMEOUT, "all is well")
    restored.check()


def test_a_node_that_was_removed_since(restored):
    """By the old store it has copies, but it will not come: it is removed again, and nothing is lost, nor need anybody say so."""
    cluster = restored.cluster
    restored.deliver("before")
    gone = add_storage(cluster, "n4")
    fourth = node_id(cluster, "n4")
    wait_for(lambda: copies_on(cluster, fourth) > 0 and restored.settled(), 90, "copies on the fourth node")
    restored.keep_copy()
    cluster.ctl("node", "drain", str(fourth))
    wait_for(lambda: copies_on(cluster, fourth) == 0 and restored.settled(), 90, "an empty node")
    cluster.ctl("node", "remove", str(fourth))
    cluster.expect_error("the director refuses this node: node %d .n4. was removed" % fourth)
    wait_for(lambda: gone.log().count("was removed from this cluster") == 1, 20, "the removed node says why")
    gone.stop()
    restored.deliver("since")
    for process in cluster.storages[:2]:  # and nobody serves any more what it had
        process.stop()
        process.start()
        wait_for(restored.settled, 60, "all copies")
    cluster.expect_error("the coordination store is older than this disk")
    restored.put_back()
    wait_for(restored.told, 30, "the problem is told")

    def refused(text, *command):
        done = cluster.ctl(*command, check=False)
        assert done.returncode != 0, command
        return text in done.stderr
    wait_for(lambda: refused("(n4) is not here", "partition", "recover", "--all"), RECOVER_TIMEOUT, "the node is named", interval=0.5)
    assert refused("--lost", "node", "remove", str(fourth))
    assert refused("is alive", "node", "remove", "n1", "--lost")
    told = wait_for(lambda: cluster.ctl("node", "remove", str(fourth), "--lost", check=False).stdout, 30, "it is given up", interval=0.5)
    assert "is given up" in told
    gone.start(wait_ready=False)  # too late
    wait_for(lambda: gone.log().count("was removed from this cluster") == 2, 20, "the returning node says why")
    gone.stop()
    restored.recover()
    wait_for(restored.healthy, RECOVER_TIMEOUT, "all is well")
    assert sorted(n["name"] for n in cluster.ctl_json("node", "list")) == ["n1", "n2", "n3"]
    restored.check()
    restored.deliver("recovered")
    restored.check()


def test_nodes_that_start(restored):
    """No copy serves any more: the newest of all is found, once every node is there."""
    cluster = restored.cluster
    restored.deliver("before")
    restored.keep_copy()
    restored.fail_over(cluster.storages[1], "since")
    restored.deliver("last")
    for process in cluster.storages:
        process.stop()
    cluster.expect_error("the coordination store is older than this disk")
    restored.put_back()
    for process in cluster.storages[:2]:
        process.start(wait_ready=False)
    wait_for(restored.told, 30, "the problem is told")

    def refusal():
        result = cluster.ctl("partition", "recover", "--all", check=False)
        assert result.returncode != 0
        return "(n3) is not here" in result.stderr
    wait_for(refusal, RECOVER_TIMEOUT, "the node that is missing is named", interval=0.5)
    cluster.storages[2].start(wait_ready=False)
    restored.recover()
    wait_for(restored.healthy, RECOVER_TIMEOUT, "all is well")
    restored.check()
    restored.deliver("recovered")
    restored.check()


def test_only_the_map_is_older(restored):
    """No partition has changed since the copy was made, only names: nothing is to be recovered, and who had newer maps takes new ones."""
    cluster = restored.cluster
    restored.keep_copy()
    for n in range(5):
        cluster.ctl("domain", "add", "later-%d.test" % n)
    version = cluster.ctl_json("cluster", "status")["map_version"]
    other = cluster.add_user("someone@later-4.test")

    def taken():
        try:
            wire.deliver(cluster, other, message("to a new domain"))
        except (AssertionError, OSError):
            return False
        return True
    wait_for(taken, 30, "the front-end has the newest map", interval=0.5)
    restored.put_back()
    wait_for(lambda: cluster.ctl_json("cluster", "status")["map_version"] > version, 30, "versions go on above")
    assert "later-1.test" not in cluster.ctl("domain", "list")
    restored.fail_over(harness.primary_of(cluster, restored.user), "by the new map")
    restored.check()
    assert not restored.told()


def test_a_node_that_came_since(restored):
    """The store has forgotten it, and a new machine is there before it, while no process runs that has had a map of it: each is itself."""
    cluster = restored.cluster
    restored.deliver("before")
    restored.keep_copy()
    came = add_storage(cluster, "n4")
    fourth = node_id(cluster, "n4")
    wait_for(lambda: copies_on(cluster, fourth) > 0 and restored.settled(), 90, "copies on the fourth node")
    restored.deliver("since")
    for process in cluster.storages:
        process.stop()
    cluster.expect_error("the coordination store is older than this disk")
    restored.put_back()
    for process in cluster.storages[:3]:
        process.start(wait_ready=False)
    add_storage(cluster, "n5")
    assert node_id(cluster, "n5") == fourth + 1
    came.start(wait_ready=False)
    wait_for(lambda: "n4" in [n["name"] for n in cluster.ctl_json("node", "list")], 30, "the forgotten node is back")
    assert node_id(cluster, "n4") == fourth
    restored.recover()
    wait_for(restored.healthy, RECOVER_TIMEOUT, "all is well")
    restored.check()
    restored.deliver("recovered")
    restored.check()


def test_a_copy_from_before_the_placement(build):
    """The store knows of no partition: nothing is placed anew, empty, beside the mail, whether nodes run or start. Who runs goes on, and a
    later copy is as good as ever."""
    cluster = harness.Cluster(build, partitions=PARTITIONS, storages=3)
    try:
        cluster.director.start(wait_ready=False)
        wait_for(lambda: "0 placed, 0 nodes" in cluster.director.log(), what="the cluster's row")
        cluster.director.stop()
        early, late = cluster.path("early-copy"), cluster.path("late-copy")
        shutil.copytree(cluster.path("director"), early)
        restored = Restored(cluster.start())
        restored.deliver("before")
        wait_for(restored.healthy, 60, "all is well")
        restored.copy = late
        restored.keep_copy()
        restored.deliver("since")

        def refused():
            status = cluster.ctl_json("cluster", "status")
            return status["nodes"] == 3 and any("had partitions before" in text for text in status["problems"])
        cluster.expect_error("had partitions before")
        restored.copy = early
        restored.put_back()
        wait_for(refused, 30, "it is told")
        restored.check()
        restored.deliver("by the map that all have")
        for process in cluster.storages:
            process.stop()
        restored.put_back(lambda: [process.start(wait_ready=False) for process in cluster.storages])
        wait_for(refused, 30, "it is told again")
        restored.copy = late
        restored.put_back()
        wait_for(restored.healthy, RECOVER_TIMEOUT, "all is well")
        restored.check()
        restored.deliver("put back")
        restored.check()
    finally:
        problems = cluster.stop()
    assert not problems, problems
