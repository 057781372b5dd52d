# SPDX-License-Identifier: Apache-2.0
"""Rot on disk: it is found by reading everything now and then, the damaged copy is given up and fetched anew (P9, R28)."""
import glob
import os
import random

import harness
import wire

BODY_LINES = 1500


def rot(folder):
    """Change octets in the middle of every file of bodies; how many files."""
    files = [f for f in glob.glob(os.path.join(folder, "*.blob")) if os.path.getsize(f) > 4096]
    for name in files:
        with open(name, "r+b") as blob:
            blob.seek(os.path.getsize(name) // 2)
            octets = blob.read(8)
            blob.seek(-8, os.SEEK_CUR)
            blob.write(bytes(o ^ 0x55 for o in octets))
    return len(files)


def deliver(cluster, address, count):
    chance = random.Random(4)
    with wire.Smtp(cluster) as smtp:
        for _ in range(count):
            lines = [chance.randbytes(36).hex() for _ in range(BODY_LINES)]
            smtp.envelope([address])
            smtp.data(("Subject: bytes\r\n\r\n%s\r\n" % "\r\n".join(lines)).encode())


def all_members(cluster):
    return all(len(p["members"]) == 3 and not p["learners"] for p in cluster.ctl_json("partition", "list"))


def check_passes(cluster):
    return cluster.ctl("partition", "check", "0", check=False).returncode == 0


def test_p9_rot_is_found_and_the_copy_fetched_anew(build):
    with harness.started(build, storages=3, partitions=1, director={"repair_after": "2s"}) as cluster:
        cluster.expect_error(r"a row could not be read|a copy has a row that cannot be read|R28|iterate|Corruption|"
                             r"damage on disk|stopped serving|cannot be read")
        address = cluster.add_user()
        deliver(cluster, address, 6)
        harness.wait_for(lambda: check_passes(cluster), what="equal copies")
        backup = next(i for i, s in enumerate(cluster.storages)
                      if "n%d" % (i + 1) != primary_name(cluster))
        node = cluster.storages[backup]
        for _ in range(2):  # the first start writes what the log holds into files
            node.stop()
            rotten = rot(cluster.path("storage" if backup == 0 else "storage-%d" % (backup + 1)))
            node.start()
        assert rotten > 0
        harness.wait_for(lambda: all_members(cluster), what="the node to be a member again")
        found = cluster.ctl("partition", "check", "0", check=False)
        assert found.returncode != 0, found.stdout
        harness.wait_for(lambda: "the damaged copy is gone" in node.log(), what="the copy to be given up")
        harness.wait_for(lambda: all_members(cluster) and check_passes(cluster), what="a new copy")


def tables(folder):
    return [f for f in glob.glob(os.path.join(folder, "*.sst")) if os.path.getsize(f) > 100000]


def flip(name, at):
    with open(name, "r+b") as table:
        table.seek(at)
        octet = table.read(1)[0]
        table.seek(at)
        table.write(bytes([octet ^ 0x55]))


def test_p9_a_damaged_table_leaves_when_rocksdb_meets_it(build):
    """RocksDB writes nothing any more once a merge met a damaged table. The node ends; at its next start it goes on without
    that table, and only the copies that had rows in the damaged block are made anew."""
    with harness.started(build, storages=3, partitions=4, director={"repair_after": "60s"}) as cluster:
        cluster.expect_error(r"Corruption|is damaged|cannot be read|taken out|rows are lost|R28|stopped serving|"
                             r"nothing may be acknowledged|cannot write|damage")
        addresses = [cluster.add_user() for _ in range(6)]
        for address in addresses:
            deliver_small(cluster, address, 60)
        node, folder = cluster.storages[1], cluster.path("storage-2")
        node.stop()
        node.start()  # what the log holds is written into tables
        harness.wait_for(lambda: all_members(cluster), what="the node to be a member again")
        node.stop()
        damaged = max(tables(folder), key=os.path.getsize)
        flip(damaged, os.path.getsize(damaged) // 2)
        wiped = restart_until_taken_out(cluster, node, addresses)
        harness.wait_for(lambda: all_members(cluster), what="all copies again")
        assert os.path.exists(os.path.join(folder, "damaged", os.path.basename(damaged)))
        assert wiped() < 4, "every copy was given up for one block"
        node.stop()
        node.start()  # nothing of it is left
        for address in addresses:
            deliver_small(cluster, address, 1)
        harness.wait_for(lambda: all_members(cluster), what="the members after another start")
        for number in range(4):
            harness.wait_for(lambda n=number: cluster.ctl("partition", "check", str(n), check=False).returncode == 0,
                             what="equal copies of %d" % number)


def deliver_small(cluster, address, count):
    chance = random.Random(count)
    with wire.Smtp(cluster) as smtp:
        for number in range(count):
            smtp.envelope([address])
            smtp.data(("Subject: %d %s\r\n\r\nbody\r\n" % (number, chance.randbytes(300).hex())).encode())


def restart_until_taken_out(cluster, node, addresses):
    """Each start writes one table more, and after a few RocksDB merges; it is started again when it has ended."""
    for _ in range(12):
        node.start(wait_ready=False)
        for address in addresses:
            deliver_small(cluster, address, 1)
        try:
            harness.wait_for(lambda: not node.is_running() or "is taken out" in node.log(), timeout=4)
        except AssertionError:
            pass
        if "is taken out" in node.log():
            return lambda: node.log().count("the damaged copy is gone")
        if node.is_running():
            harness.wait_for(lambda: all_members(cluster), what="the node to be a member again")
            node.stop()
    raise AssertionError("RocksDB never met the damaged table")


def primary_name(cluster):
    primary = cluster.ctl_json("partition", "list")[0]["primary"]
    return next(n["name"] for n in cluster.ctl_json("node", "list") if n["id"] == primary)
