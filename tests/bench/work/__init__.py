# SPDX-License-Identifier: Apache-2.0
"""What is measured: one file a family. A bench has a name, metrics, rounds, prepare(side) and measure(side), which returns
{metric key: value}."""
from work.catchup import CatchUp, CatchUpHosts
from work.disk import Disk
from work.idle import Idle
from work.mailbox import Fetch, Search, Store
from work.outage import Failover, Handover
from work.replicas import Replicas, Scale
from work.sessions import Login, Pop3
from work.size import Rest, Start
from work.smtp import Smtp

BENCHES = (Smtp, Login, Fetch, Search, Store, Pop3, Idle, Disk, Replicas, Scale, Failover, Handover, Rest, Start,
           CatchUp, CatchUpHosts)
