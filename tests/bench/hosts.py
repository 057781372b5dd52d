# SPDX-License-Identifier: Apache-2.0
"""A cluster whose storage nodes are hosts of their own: network namespaces on one bridge. They still share the machine's disk and
processors. Needs root."""
import contextlib
import ctypes
import os

from chaos import lan  # of tests/cluster
from tern import Tern

CLONE_NEWNET = 0x40000000


def enter(namespace_or_flags, by):
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, by)(*namespace_or_flags) != 0:
        raise OSError(ctypes.get_errno(), "%s: %s" % (by, os.strerror(ctypes.get_errno())))


@contextlib.contextmanager
def own_network():
    """This thread, and what it starts, is alone in a network of its own."""
    with open("/proc/thread-self/ns/net") as before:
        enter((CLONE_NEWNET,), "unshare")
        try:
            yield
        finally:
            enter((before.fileno(), CLONE_NEWNET), "setns")


@contextlib.contextmanager
def cluster(build, folder, storages, partitions, link_mbit=None, **options):
    """A started Tern, each storage node behind a link of its own; with `link_mbit` it carries no more."""
    with own_network():
        network = lan.Lan(["storage-%d" % number for number in range(1, storages + 1)])
        try:
            hosts = list(network.hosts.values())
            for host in hosts if link_mbit else []:
                host.limit(link_mbit)
            with Tern(build, folder, storages, partitions, hosts=hosts, home=lan.Home, **options) as side:
                yield side
        finally:
            network.close()
