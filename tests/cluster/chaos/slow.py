# SPDX-License-Identifier: Apache-2.0
"""usage: slow.py DELAY_S LOSS PID:ADDRESS:PID:ADDRESS...
Takes the packets between pairs of hosts (each the network namespace of a process), holds them for a while and drops some: each pair
gets two tun devices and a route through them, which end with this process. The kernels here have no netem."""
import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001
PACKET_MAX = 65536
QUEUE_MAX = 20000  # packets; a full link drops


def tun(pid, name, other):
    """A tun device in the namespace of `pid` through which `other` is reached."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open("/proc/%s/ns/net" % pid, os.O_RDONLY)
    try:
        if libc.setns(there, 0) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN_NO_PI))
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
        subprocess.run(["ip", "route", "add", other + "/32", "dev", name], check=True)
    finally:
        libc.setns(home, 0)
        os.close(home)
        os.close(there)
    return device


def main():
    delay, loss = float(sys.argv[1]), float(sys.argv[2])
    out = {}  # where a packet that came from a device goes
    for number, pair in enumerate(sys.argv[3:]):
        pid_a, address_a, pid_b, address_b = pair.split(":")
        a, b = tun(pid_a, "slow%d" % number, address_b), tun(pid_b, "slow%d" % number, address_a)
        out[a], out[b] = b, a
    print("ready", flush=True)
    queue, count = [], 0
    while True:
        wait = max(0.0, queue[0][0] - time.monotonic()) if queue else None
        for device in select.select(list(out), [], [], wait)[0]:
            packet = os.read(device, PACKET_MAX)
            count += 1
            if random.random() >= loss and len(queue) < QUEUE_MAX:
                heapq.heappush(queue, (time.monotonic() + delay, count, out[device], packet))
        while queue and queue[0][0] <= time.monotonic():
            _, _, device, packet = heapq.heappop(queue)
            try:
                os.write(device, packet)
            except OSError:
                pass  # the other side is gone or full: lost


main()
