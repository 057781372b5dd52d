# SPDX-License-Identifier: Apache-2.0
"""Hosts: network namespaces on one bridge, whose links can be cut in one direction or both, and made slow and lossy.

Everything hangs on processes in the runner's own namespaces (network, mounts, processes), so nothing is left when it ends, however
it ends."""
import os
import signal
import subprocess
import sys
import time

NETWORK = "10.77.0."
RUNNER = NETWORK + "254"
LINK_WAIT = "5ms"
SLOW = os.path.join(os.path.dirname(os.path.abspath(__file__)), "slow.py")


def run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError("%s: %s" % (" ".join(command), done.stderr.strip()))
    return done.stdout


class Home:
    """The runner's own host."""
    address = RUNNER

    @staticmethod
    def prefix():
        return []


class Host:
    """A network namespace with an address, kept by a sleeping process."""

    def __init__(self, name, number):
        self.name, self.number, self.address = name, number, NETWORK + str(number)
        self.keeper = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL)
        mine = os.readlink("/proc/self/ns/net")
        while os.readlink("/proc/%d/ns/net" % self.keeper.pid) == mine:
            time.sleep(0.002)
        run("ip", "link", "add", "port" + str(number), "type", "veth", "peer", "name", "eth0", "netns", str(self.keeper.pid))
        run("ip", "link", "set", "port" + str(number), "master", "lan", "up")
        self.inside("ip", "link", "set", "lo", "up")
        self.inside("sh", "-c", "echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter; echo 0 > /proc/sys/net/ipv4/conf/default/rp_filter")
        self.inside("ip", "addr", "add", self.address + "/24", "dev", "eth0")
        self.inside("ip", "link", "set", "eth0", "up")

    def prefix(self):
        """What a command begins with to run on this host."""
        return ["nsenter", "--net=/proc/%d/ns/net" % self.keeper.pid]

    def inside(self, *command):
        return run(*self.prefix(), *command)

    def stop_sending(self, other):
        """Nothing that this host sends reaches the other one: one direction of a link."""
        self.inside("ip", "route", "replace", "blackhole", other.address + "/32")

    def resume_sending(self, other):
        self.inside("ip", "route", "del", "blackhole", other.address + "/32")

    def limit(self, megabits):
        """Its link carries at most so much, each way, and a switch of little memory lets nothing wait for longer than LINK_WAIT."""
        shape = ("root", "tbf", "rate", "%dmbit" % megabits, "burst", "256kb", "latency", LINK_WAIT)
        run("tc", "qdisc", "replace", "dev", "port" + str(self.number), *shape)
        self.inside("tc", "qdisc", "replace", "dev", "eth0", *shape)

    def unplug(self):
        run("ip", "link", "set", "port" + str(self.number), "down")

    def plug(self):
        run("ip", "link", "set", "port" + str(self.number), "up")


class Lan:
    """The bridge and its hosts. Only in namespaces of the caller's own."""

    def __init__(self, names):
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "lan", "type", "bridge")
        run("ip", "addr", "add", RUNNER + "/24", "dev", "lan")
        run("ip", "link", "set", "lan", "up")
        self.hosts = {name: Host(name, number) for number, name in enumerate(names, 1)}
        self.relays = []

    def slow(self, pairs, delay, loss):
        """The links of `pairs` of hosts get `delay` seconds and lose a share of `loss` packets, each way. What to give to heal."""
        arguments = ["%d:%s:%d:%s" % (a.keeper.pid, a.address, b.keeper.pid, b.address) for a, b in pairs]
        relay = subprocess.Popen([sys.executable, SLOW, str(delay), str(loss)] + arguments, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE)
        self.relays.append(relay)
        assert relay.stdout.readline() == b"ready\n"
        return relay

    def heal_slow(self, relay):
        """The relay's devices go with it, and their routes with them."""
        relay.send_signal(signal.SIGTERM)
        relay.wait()
        self.relays.remove(relay)

    def close(self):
        for relay in list(self.relays):
            self.heal_slow(relay)
        for host in self.hosts.values():
            host.keeper.kill()
            host.keeper.wait()
