# SPDX-License-Identifier: Apache-2.0
"""What an operator sees of a cluster, and what he is told when he asks for what cannot be."""
import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

import conftest
import wire
from harness import sanitizer_environment, wait_for

SIZE = 100_000
MESSAGES = 20


@pytest.fixture(scope="module")
def trio(build):
    yield from conftest.run_cluster(build, storages=3)


def status(cluster):
    return cluster.ctl_json("cluster", "status")


def text_of(cluster):
    text = cluster.ctl("cluster", "status")
    assert all(len(line) <= 80 for line in text.splitlines()), text
    return text


def message(n):
    return b"Subject: message %d\r\n\r\n" % n + os.urandom(SIZE // 2).hex().encode() + b"\r\n"


def test_all_is_well(trio):
    def well():
        got = status(trio)
        return got["healthy"] and got["problems"] == [] and got["faults"] == [] and got["moves"] == [] and got
    got = wait_for(well, what="health")
    assert got["partitions_active"] == got["partitions"] == got["partitions_placed"]
    assert [n["name"] for n in sorted(got["node_list"], key=lambda n: n["name"])] == ["n1", "n2", "n3"]
    assert sum(n["primaries"] for n in got["node_list"]) == got["partitions"]

    def well_in_words():
        text = text_of(trio)
        return ": healthy" in text and "What is wrong" not in text
    wait_for(well_in_words, what="health in words")


def test_size_of_a_partition(trio):
    """About the bytes of the mail: within a fifth, on every copy."""
    user = trio.add_user()
    for n in range(MESSAGES):
        wire.deliver(trio, user, message(n))
    whole = SIZE * MESSAGES

    def show():
        return trio.ctl_json("partition", "show", user)

    wait_for(lambda: show()["commit"] > MESSAGES, what="the figures of the last message")
    wait_for(lambda: whole * 0.8 < show()["bytes"] < whole * 1.2, what="the size")

    def in_order():
        shown = show()
        assert shown["commit"] > MESSAGES and shown["faults"] == []
        return shown["active"] and len(shown["peers"]) == 2
    wait_for(in_order, what="two others in step")
    assert "primary" in trio.ctl("partition", "show", user)
    wait_for(lambda: all(n["bytes"] > whole * 0.8 for n in status(trio)["node_list"]), what="the size on every node")


def test_refusals_say_what_to_do(trio):
    def refused(code, reason, *args):
        done = trio.ctl(*args, check=False)
        assert done.returncode == code and reason in done.stderr and done.stdout == "", (args, done)

    refused(1, "there is no such node", "node", "drain", "n9")
    refused(1, "drain it first", "node", "remove", "n2")
    refused(1, "alive", "node", "remove", "n2", "--lost")
    refused(2, "--accept-loss", "partition", "recover", "3")
    refused(2, "--accept-loss", "partition", "recover", "--all", "--from", "n2")
    refused(2, "which one", "partition", "recover", "--accept-loss")
    refused(2, "either one or --all", "partition", "recover", "3", "--all", "--accept-loss")
    refused(1, "alive", "partition", "recover", "3", "--from", "n2", "--accept-loss")
    refused(1, "alive", "partition", "recover", "3", "--accept-loss")
    refused(1, "there is none with that number", "partition", "recover", "99999", "--accept-loss")
    assert trio.ctl_json("partition", "recover") == []
    assert "Nothing is to be recovered" in trio.ctl("partition", "recover")
    assert "Nothing is to be recovered" in trio.ctl("partition", "recover", "--all", "--accept-loss")
    refused(1, "there is none with that number", "partition", "show", "99999")


def test_drain_is_shown_and_undone(trio):
    trio.ctl("node", "drain", "n2")
    wait_for(lambda: any(n["draining"] for n in status(trio)["node_list"]), what="draining")
    assert "draining" in text_of(trio)
    wait_for(lambda: any("only 2 nodes" in p for p in status(trio)["problems"]), what="that it cannot be emptied")
    waiting = subprocess.Popen([*trio.ternctl, "node", "drain", "n2", "--wait"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               env=dict(sanitizer_environment(), TERN_KEYS=trio.keys))
    assert select.select([waiting.stderr], [], [], 30)[0], "whoever waits is told why"
    assert b"drains, but only 2 other nodes are there" in waiting.stderr.readline()
    waiting.kill()
    waiting.communicate()
    trio.ctl("node", "drain", "n2", "--undo")
    wait_for(lambda: not any(n["draining"] for n in status(trio)["node_list"]), what="no draining")
    wait_for(lambda: status(trio)["problems"] == [], what="no problem")


def test_a_dead_node_is_named(trio):
    lost = trio.storages[2]
    lost.kill()
    wait_for(lambda: any("n3" in p and "silent" in p for p in status(trio)["problems"]), what="the problem")
    wait_for(lambda: status(trio)["partitions_below_copies"] == status(trio)["partitions"], what="going on without it")
    got = status(trio)
    assert not got["healthy"] and got["nodes_alive"] == 2
    wait_for(lambda: status(trio)["partitions_active"] == got["partitions"], what="service by the others")
    text = text_of(trio)
    assert "not healthy" in text and "silent" in text and "ternctl node remove" in text
    lost.start()
    wait_for(lambda: status(trio)["healthy"] and status(trio)["problems"] == [], what="health")
    log = trio.director.log()
    lost_id = next(n["id"] for n in got["node_list"] if n["name"] == "n3")
    assert len(re.findall(r"node %d \(n3, [^)]*\) is silent" % lost_id, log)) == 1
    told = re.findall(r"node (?:%d is no member any more of|\d+ becomes the primary of) (\d+) partitions? \(" % lost_id, log)
    assert sum(map(int, told)) >= got["partitions"] > len(told)  # a line for many, not for each


def watch(cluster, *options, stdout):
    # A shell that runs tests in the background has SIGINT ignored, which children inherit.
    return subprocess.Popen([*cluster.ternctl, "cluster", "status", "--watch", *options], stdout=stdout,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
                            env=dict(sanitizer_environment(), TERN_KEYS=cluster.keys))


def end(process):
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == -signal.SIGINT


def test_watch_in_a_pipe(trio):
    process = watch(trio, stdout=subprocess.PIPE)
    seen = b""
    while seen.count(b"served") < 2:
        seen += os.read(process.stdout.fileno(), 65536)
    end(process)
    assert b"\x1b" not in seen
    process.stdout.close()
    process = watch(trio, "--json", stdout=subprocess.PIPE)
    assert all(json.loads(process.stdout.readline())["partitions"] for _ in range(2))
    end(process)
    process.stdout.close()


def test_watch_on_a_terminal(trio):
    ours, theirs = pty.openpty()
    process = watch(trio, stdout=theirs)
    os.close(theirs)
    seen, until = b"", time.monotonic() + 20
    while seen.count(b"\x1b[H") < 2 and time.monotonic() < until:
        seen += os.read(ours, 65536)
    end(process)
    os.close(ours)
    assert seen.startswith(b"\x1b[2J") and seen.count(b"\x1b[H") >= 2 and b"\x1b[K" in seen
