# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, a row each: how it is done and undone. A fault is done to a running cluster, lasts, is undone, and then nobody
helps: programs that have ended are started again, as an init system would, and nothing more."""
import json
import os
import signal
import subprocess
import time

STOP_SECONDS = 5.0
CLOCK_OFF = "600"  # seconds
ASK_MAX = 20.0   # seconds in which a command of the operator must succeed
MOVE_MAX = 90.0  # seconds until a drained node is empty, or a new one has its share
NEARLY_FULL = 64 << 20  # octets left, fewer than disk_reserve
LIBFAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


class Context:
    """What a fault acts on: the programs, chance, and how to say who was chosen."""

    def __init__(self, programs, random, say):
        self.programs, self.random, self.say = programs, random, say

    def any_of(self, role):
        """A program. Of the storage nodes, one that leads partitions, if the directors say who does."""
        programs = self.programs.role(role)
        if role == "storage":
            leading = self.leading()
            programs = [p for p in programs if p.name in leading] or programs
        victim = self.random.choice(programs)
        self.say(victim.name)
        return victim

    def leading(self):
        try:
            nodes, partitions = (json.loads(self.programs.ctl(noun, "list", "--json").stdout) for noun in ("node", "partition"))
            names = {node["id"]: node["name"] for node in nodes}
            return {names[partition["primary"]] for partition in partitions if partition["primary"] in names}
        except ValueError:
            return set()

    def two_storages(self):
        return self.random.sample(self.programs.role("storage"), 2)


def kill(role, again_after):
    def fault(c):
        victim = c.any_of(role)
        victim.end(signal.SIGKILL)
        yield again_after
        victim.start()
    return fault


def stop(role):
    def fault(c):
        victim = c.any_of(role)
        victim.send(signal.SIGSTOP)
        try:
            yield STOP_SECONDS
        finally:
            victim.send(signal.SIGCONT)
    return fault


def terminate(role):
    def fault(c):
        """In order, one after the other: a rolling restart."""
        for victim in c.programs.role(role):
            c.say(victim.name)
            if victim.end(signal.SIGTERM):
                c.programs.bad("%s did not end within 30 s of SIGTERM" % victim.name)
            victim.start()
            c.programs.wait_ready([victim])
            yield 3.0
    return fault


def cut_both(c, a, b):
    c.say("%s - %s" % (a.name, b.name))
    a.host.stop_sending(b.host)
    b.host.stop_sending(a.host)
    yield 12.0
    a.host.resume_sending(b.host)
    b.host.resume_sending(a.host)


def cut_link(c):
    yield from cut_both(c, *c.two_storages())


def cut_between(*roles):
    def fault(c):
        """Anybody else still reaches both."""
        yield from cut_both(c, *[c.random.choice(c.programs.role(role)) for role in roles])
    return fault


def cut_one_way(c):
    a, b = c.two_storages()
    c.say("%s -> %s" % (a.name, b.name))
    a.host.stop_sending(b.host)
    yield 12.0
    a.host.resume_sending(b.host)


def isolate(role):
    def fault(c):
        victim = c.any_of(role)
        victim.host.unplug()
        yield 12.0
        victim.host.plug()
    return fault


def slow_link(c):
    """Every link of a storage node to the others and to the front-ends: 40 ms and 3 % loss each way."""
    victim = c.any_of("storage")
    others = [p.host for p in c.programs.role("storage") + c.programs.role("frontend") if p is not victim]
    relay = c.programs.lan.slow([(victim.host, other) for other in others], 0.04, 0.03)
    yield 15.0
    c.programs.lan.heal_slow(relay)


def fill_disk(leave):
    def fault(c):
        disk = c.programs.disks[c.any_of("storage").name]
        disk.fill(leave)
        yield 12.0
        disk.empty()
    return fault


def fsync_error(c):
    """The disk refuses to make things durable; the node must end by itself, at once, having acknowledged nothing of it."""
    victim = c.any_of("storage")
    victim.is_wanted = False  # until it has ended
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=fsync,fdatasync", "-e",
                               "inject=fsync,fdatasync:error=EIO", "-p", str(victim.pid)], stdin=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 20
        while victim.is_running() and time.monotonic() < end:
            yield 0.1
    finally:
        tracer.kill()
        tracer.wait()
    if victim.is_running():
        c.programs.bad("%s went on with fsync failing" % victim.name)
        victim.end()
    yield 2.0
    victim.start()


def wrong_clock(c):
    """A node starts with its clock wrong, serves so for a while, and starts again with it right."""
    victim, sign = c.any_of("storage"), c.random.choice("+-")
    c.say(sign + CLOCK_OFF)
    victim.end(signal.SIGTERM)
    victim.start(environment={"LD_PRELOAD": LIBFAKETIME, "FAKETIME": sign + CLOCK_OFF, "FAKETIME_DONT_FAKE_MONOTONIC": "1"})
    yield 15.0
    victim.end(signal.SIGTERM)
    victim.start()


def lose_power(everyone):
    """All of them at the same moment."""
    for victim in everyone:
        victim.send(signal.SIGKILL)
    for victim in everyone:
        victim.end()
    yield 1.0
    for victim in everyone:
        victim.start()


def all_storages(c):
    yield from lose_power(c.programs.role("storage"))


def everything(c):
    """The power of the whole room."""
    yield from lose_power(list(c.programs.by_name.values()))


def in_turn(c):
    """Each storage node dies before the one that died before it has caught up."""
    for victim in c.programs.role("storage"):
        victim.end(signal.SIGKILL)
        yield 2.0
        victim.start()
        yield 1.0


def node_of(c, name):
    """The number of the node with this name that is here."""
    nodes = json.loads(c.programs.ctl("node", "list", "--json").stdout or "[]")
    return max([node["id"] for node in nodes if node["name"] == name], default=0)


def ask(c, *arguments):
    """A command of the operator, who tries again for a while: a director may just be lost, a dead node must first be found silent."""
    end = time.monotonic() + ASK_MAX
    while True:
        done = c.programs.ctl(*arguments)
        if done.returncode == 0:
            return True
        if time.monotonic() > end:
            c.programs.bad("ternctl %s: %s" % (" ".join(arguments), done.stderr.strip()))
            return False
        yield 1.0


def has_copies(c, node, low, high):
    """Wait until the node has so many copies; whether it has."""
    end = time.monotonic() + MOVE_MAX
    while time.monotonic() < end:
        shown = [n for n in json.loads(c.programs.ctl("node", "list", "--json").stdout or "[]") if n["id"] == node]
        if shown and low <= shown[0]["members"] + shown[0]["learners"] <= high:
            return True
        yield 0.5
    c.programs.bad("node %d has not between %d and %d copies after %.0f s" % (node, low, high, MOVE_MAX))
    return False


def start_empty(c, victim, old):
    """In its place, with nothing on its disk: another node, to which copies move for evenness."""
    c.programs.disks[victim.name].wipe()
    victim.start()
    c.programs.wait_ready([victim])
    node = 0
    while node in (0, old):
        yield 0.5
        node = node_of(c, victim.name)
    yield from has_copies(c, node, c.programs.even_share() // 2, 1000)


def replace_node(c):
    """In order: emptied, stopped, forgotten, and a new one put in its place."""
    victim = c.any_of("storage")
    node = node_of(c, victim.name)
    yield from ask(c, "node", "drain", str(node))
    if not (yield from has_copies(c, node, 0, 0)):
        yield from ask(c, "node", "drain", str(node), "--undo")
        return
    victim.end(signal.SIGTERM)
    if (yield from ask(c, "node", "remove", str(node))):
        yield from start_empty(c, victim, node)
    else:
        victim.start()


def lose_disk(c):
    """A node dies for good; a person says so, and a new one is put in its place."""
    victim = c.any_of("storage")
    node = node_of(c, victim.name)
    victim.end(signal.SIGKILL)
    if (yield from ask(c, "node", "remove", str(node), "--lost")):
        yield from start_empty(c, victim, node)
    else:
        victim.start()


def all_of(role):
    def fault(c):
        for victim in c.programs.role(role):
            victim.end(signal.SIGKILL)
        yield 10.0
        for victim in c.programs.role(role):
            victim.start()
    return fault


class Kind:
    """A row of the table. `since`: from when a missing service counts, "begin" or "end" (where it cannot be had before)."""

    def __init__(self, name, text, act, since="begin"):
        self.name, self.text, self.act, self.since = name, text, act, since


KINDS = [
    Kind("kill-storage", "kill -9 of a storage node", kill("storage", 4.0)),
    Kind("kill-frontend", "kill -9 of a front-end", kill("frontend", 4.0)),
    Kind("kill-director", "kill -9 of a director", kill("director", 4.0)),
    Kind("kill-etcd", "kill -9 of an etcd", kill("etcd", 4.0)),
    Kind("stop-storage", "a storage node hangs for 5 s", stop("storage")),
    Kind("stop-frontend", "a front-end hangs for 5 s", stop("frontend")),
    Kind("stop-director", "a director hangs for 5 s", stop("director")),
    Kind("stop-etcd", "an etcd hangs for 5 s", stop("etcd")),
    Kind("cut-link", "the link between two storage nodes is cut for 12 s", cut_link),
    Kind("cut-one-way", "the link between two storage nodes is cut in one direction for 12 s", cut_one_way),
    Kind("cut-frontend", "the link between a front-end and a storage node is cut for 12 s", cut_between("frontend", "storage")),
    Kind("cut-director", "the link between a director and a storage node is cut for 12 s", cut_between("director", "storage")),
    Kind("isolate-storage", "a storage node is alone for 12 s", isolate("storage")),
    Kind("isolate-frontend", "a front-end is alone for 12 s", isolate("frontend")),
    Kind("isolate-director", "a director is alone for 12 s", isolate("director")),
    Kind("slow-link", "a storage node's links are slow (40 ms) and lossy (3 %)", slow_link),
    Kind("low-disk", "a storage node's disk is nearly full for 12 s", fill_disk(NEARLY_FULL)),
    Kind("full-disk", "a storage node's disk is full to the last byte for 12 s", fill_disk(0)),
    Kind("fsync-error", "fsync fails at a storage node", fsync_error),
    Kind("wrong-clock", "a storage node's clock is 10 minutes off", wrong_clock),
    Kind("all-storages", "kill -9 of all storage nodes at once", all_storages, since="end"),
    Kind("everything", "kill -9 of all programs at once", everything, since="end"),
    Kind("in-turn", "kill -9 of each storage node, 3 s after the last", in_turn, since="end"),
    Kind("all-directors", "all directors are lost for 10 s", all_of("director")),
    Kind("all-etcds", "all etcds are lost for 10 s", all_of("etcd")),
    Kind("replace-node", "a storage node is drained and removed, and a new one added", replace_node),
    Kind("lose-disk", "a storage node and its disk are lost, and a new one added", lose_disk),
    Kind("rolling-storage", "rolling restart of the storage nodes", terminate("storage")),
    Kind("rolling-director", "rolling restart of the directors", terminate("director")),
    Kind("rolling-frontend", "rolling restart of the front-ends", terminate("frontend")),
]
