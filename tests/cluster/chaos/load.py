# SPDX-License-Identifier: Apache-2.0
"""The clients, in a process of their own: `python3 -m chaos.load JSON`, until its standard input ends. Twice a second it says on its
output what has been acknowledged so far and which probes are without service."""
import json
import select
import sys
import threading
import time

from . import clients, history, probes
from .front import Balancer

END_TIMEOUT = 60.0


def make(conf, balancer, log):
    """All clients of a run."""
    mail, pop, pace = conf["mail"], conf["pop"], conf["pace"]
    made = [clients.SmtpClient(balancer, log, "smtp%d%s" % (n, conf["tag"]), 5 * pace, mail + pop) for n in (1, 2)]
    made.append(clients.SmtpClient(balancer, log, "submit" + conf["tag"], 3 * pace, mail, submit=True))
    for n, account in enumerate(mail):
        made.append(clients.AppendClient(balancer, log, "append%d%s" % (n, conf["tag"]), 0.5 * pace, account))
        made.append(clients.Keeper(balancer, log, "keeper%d" % n, 2.5 * pace, account))
    made += [clients.Looker(balancer, log, "look%d" % n, 3 * pace, mail) for n in (1, 2)]
    made += [clients.Idler(balancer, log, "idle%d" % n, account) for n, account in enumerate(mail[:2])]
    made += [clients.PopClient(balancer, log, "pop%d" % n, 1, account) for n, account in enumerate(pop)]
    for number, account in enumerate(conf["probes"]):
        register = probes.Register()
        made += [probes.Probe(balancer, log, account, register, kind) for kind in ("write", "read")]
        if number % 2 == 0:
            made.append(probes.Sender(balancer, log, account, None, "send"))
    return made


def main():
    conf = json.loads(sys.argv[1])
    log = history.History(conf["history"])
    made = make(conf, Balancer(conf["frontends"]), log)
    for client in made:
        client.daemon = True
        client.start()
    watched = [c for c in made if isinstance(c, probes.Probe)]
    while not select.select([sys.stdin], [], [], 0.5)[0]:
        now = time.monotonic()
        missing = [p.name for p in watched if p.waiting and now - p.waiting > probes.GAP_MIN]
        print(json.dumps({"t": now, "missing": missing, "done": sum(p.count for p in watched)}), flush=True)
    for client in made:
        client.stopping = True
    end = time.monotonic() + END_TIMEOUT
    for client in made:
        client.join(max(0.0, end - time.monotonic()))
    late = [c.name for c in made if c.is_alive()]
    if late:
        log.bad("clients that do not end: " + " ".join(late))
    log.close()


threading.stack_size(256 * 1024)
main()
