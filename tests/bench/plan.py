# SPDX-License-Identifier: Apache-2.0
"""How much of everything: the full measurement, or just enough to see that all of it works."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    rounds: int  # each side is measured so often, in turn; medians count
    memory_rounds: int  # of what hardly varies, or makes clusters, and takes long
    seconds: float  # a load lasts
    smtp_shapes: tuple  # (message bytes, sessions)
    users: int
    sessions: int  # IMAP logins at a time
    pop3_sessions: int
    big_mailbox: int  # messages
    single_stores: int
    copied: int  # messages of one COPY
    idle_connections: int
    idle_connections_peers: int  # of processes of their own: memory grows evenly, fewer will do
    idle_users: int
    idle_mailbox: int  # messages
    idle_settle: float  # seconds until an idle connection has put its things away
    disk_messages: int
    is_cold: bool  # also with empty caches
    # clusters
    partitions: int
    outages: int  # nodes that are taken away a round
    outage_users: int
    outage_seconds: float  # a node stays away at least
    scale_steps: int  # of 1, 3, 6 nodes
    scale_copies: int  # a second and node, of an even load: half of what six nodes on two processors can do
    scale_seconds: float  # of an even load
    scale_carried: float  # of it must be carried, or the CPU that it costs says nothing
    rest_partitions: int
    rest_seconds: float
    start_users: int
    start_messages: int  # of each user
    catchup_megabytes: int
    catchup_seconds: float  # mail flows before, to compare with


FULL = Plan(rounds=3, memory_rounds=2, seconds=4.0, smtp_shapes=((5000, 10), (5000, 50), (50000, 10), (50000, 50)), users=100,
            sessions=50, pop3_sessions=10, big_mailbox=10000, single_stores=500, copied=1000, idle_connections=2000,
            idle_connections_peers=500, idle_users=50, idle_mailbox=1000, idle_settle=4.0, disk_messages=3000, is_cold=True, partitions=256, outages=3, outage_users=48,
            outage_seconds=5.0, scale_steps=3, scale_copies=200, scale_seconds=12.0, scale_carried=0.97, rest_partitions=1024, rest_seconds=20.0, start_users=100, start_messages=10000,
            catchup_megabytes=1000, catchup_seconds=15.0)

SMOKE = Plan(rounds=1, memory_rounds=1, seconds=0.5, smtp_shapes=((5000, 4),), users=4, sessions=4, pop3_sessions=2, big_mailbox=40,
             single_stores=5, copied=10, idle_connections=20, idle_connections_peers=5, idle_users=2, idle_mailbox=10,
             idle_settle=0.2, disk_messages=20, is_cold=False, partitions=16, outages=1, outage_users=6, outage_seconds=3.0, scale_steps=2, scale_copies=20, scale_seconds=1.0,
             scale_carried=0.0,  # nobody reads the figures: a machine that stands still for a moment may carry less
             rest_partitions=32, rest_seconds=1.0, start_users=2, start_messages=100, catchup_megabytes=2, catchup_seconds=1.0)
