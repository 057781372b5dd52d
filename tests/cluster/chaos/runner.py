# SPDX-License-Identifier: Apache-2.0
"""A run: a cluster, clients, faults one after the other by a seed, and the judgement."""
import json
import os
import random
import subprocess
import sys
import threading
import time

import harness
import wire
from . import check, faults, history, report
from .front import Front
from .programs import PARTITIONS, Programs

HEAL_MAX = 60.0      # seconds from the end of a fault until everybody is served and every copy is there
ARRIVE_MAX = 60.0    # seconds until what was acknowledged last must be in the mailbox, queues included
RESTART_DELAY = 1.0  # seconds between two starts of what ends by itself
BETWEEN = 3.0        # seconds of peace between faults
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Load:
    """The process of the clients and what it says of itself."""

    def __init__(self, conf):
        self.child = subprocess.Popen([sys.executable, "-B", "-m", "chaos.load", json.dumps(conf)], cwd=HERE, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE)
        self.last = {"t": 0.0, "missing": ["nothing said yet"], "done": 0}
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.child.stdout:
            self.last = json.loads(line)

    def is_served(self, since):
        """All probes had an answer, as said after `since`."""
        return self.last["t"] > since and not self.last["missing"]

    def end(self):
        self.child.stdin.close()
        self.child.wait(120)


class Event:
    """One fault that was done."""

    def __init__(self, kind):
        self.kind, self.note = kind, ""
        self.begun = self.ended = self.healed = None


class Run:
    def __init__(self, build, folder, seed, kinds, minutes, pace=1.0, output=sys.stdout, mail=6, probes=8):
        self.folder, self.random, self.kinds, self.pace, self.output = folder, random.Random(seed), kinds, pace, output
        self.minutes, self.events, self.violations = minutes, [], []
        self.programs = Programs(build, folder)
        self.programs.bad = lambda text: self.violate("P10", time.monotonic(), text)
        self.history_path = os.path.join(folder, "history.jsonl")
        self.accounts = {kind: ["%s%d@%s" % (kind, n, harness.DOMAIN) for n in range(1, count + 1)]
                         for kind, count in (("mail", mail), ("pop", 2), ("probe", probes))}
        self.began = time.monotonic()

    def say(self, text):
        print("%7.1f  %s" % (time.monotonic() - self.began, text), file=self.output, flush=True)

    def violate(self, promise, at, text):
        self.violations.append((promise, at, text))
        self.say("VIOLATION %s %s" % (promise, text))

    def ctl(self, *arguments, **options):
        done = self.programs.ctl(*arguments, **options)
        assert done.returncode == 0, "ternctl %s: %s" % (" ".join(arguments), done.stderr)
        return done.stdout

    def prepare(self):
        self.programs.start()
        harness.wait_for(self.is_whole, what="every copy")
        self.ctl("domain", "add", harness.DOMAIN)
        front = self.fronts()[0]
        for kind, accounts in self.accounts.items():
            for account in accounts:
                self.ctl("user", "add", account, "--password-stdin", stdin=harness.PASSWORD + "\n")
        log = history.History(self.history_path)
        for account in self.accounts["probe"]:
            harness.wait_for(lambda a=account: self.first_mail(front, log, a), what="mail for " + account)
        harness.wait_for(lambda: json.loads(self.ctl("queue", "stats", "--json"))["items"] == 0, what="an empty queue")
        log.close()
        self.load = Load({"frontends": [f.host for f in self.fronts()], "history": self.history_path, "tag": "", "pace": self.pace,
                          "mail": self.accounts["mail"], "pop": self.accounts["pop"], "probes": self.accounts["probe"]})
        harness.wait_for(lambda: self.load.is_served(0), what="the probes")

    def first_mail(self, front, log, account):
        """The message that the account's probes use; right after the start a try may fail."""
        begun, identity = time.monotonic(), "first.%f" % time.monotonic()
        try:
            wire.deliver(front, account, history.message(identity), may_wait=True)
            log.add("deliver", begun, id=identity, to=[account], ok=True)
            return True
        except (OSError, AssertionError):
            log.add("deliver", begun, id=identity, to=[account], ok=False)
            return False

    def fronts(self):
        return [Front(p.host.address) for p in self.programs.role("frontend")]

    def is_whole(self):
        try:
            done = self.programs.ctl("cluster", "status", "--json", timeout=10)
            return done.returncode == 0 and json.loads(done.stdout)["healthy"]
        except (subprocess.TimeoutExpired, ValueError):
            return False

    def do(self, kind):
        """One fault and its healing."""
        event = Event(kind)
        self.events.append(event)
        event.begun = time.monotonic()
        context = faults.Context(self.programs, self.random, lambda text: setattr(event, "note", (event.note + " " + text).strip()))
        for pause in kind.act(context):
            self.wait(pause)
        event.ended = time.monotonic()
        try:
            harness.wait_for(lambda: self.revive() and self.load.is_served(event.ended) and self.is_whole(), HEAL_MAX, "healing", 0.2)
        except AssertionError:
            self.violate("P10", event.ended, "%s (%s): not healed within %.0f s; without service: %s; %s" % (
                kind.name, event.note, HEAL_MAX, self.load.last["missing"], self.programs.ctl("cluster", "status").stdout))
        event.healed = time.monotonic()
        self.say("%-16s %-24s %5.1f s, healed after %4.1f s" % (kind.name, event.note, event.ended - event.begun,
                                                               event.healed - event.ended))

    def wait(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.revive()
            time.sleep(min(0.1, seconds))

    def revive(self):
        """As an init system: what has ended by itself is started again."""
        for program in self.programs.by_name.values():
            if program.is_wanted and not program.is_running() and time.monotonic() > program.started + RESTART_DELAY:
                self.say("%s had ended by itself, status %s" % (program.name, program.child.returncode))
                program.start()
        return True

    def run(self):
        self.prepare()
        self.say("the cluster runs; faults begin")
        self.load_began = time.monotonic()
        end, bag = self.load_began + 60 * self.minutes, []
        while time.monotonic() < end:
            if not bag:  # every kind once, in another order each time
                bag = self.random.sample(self.kinds, len(self.kinds))
            self.wait(BETWEEN)
            self.do(bag.pop())
        self.wait(BETWEEN)
        self.load_ended = time.monotonic()
        self.load.end()
        self.judge()

    def judge(self):
        events = history.read(self.history_path)
        end = time.monotonic() + ARRIVE_MAX
        while True:  # mail in queues may still be under way
            fronts = self.fronts()
            mail = {a: check.Final(fronts[0], a) for a in self.accounts["mail"] + self.accounts["probe"]}
            pop = {a: check.Final(fronts[0], a) for a in self.accounts["pop"]}
            wrong = check.judge(events, mail, pop)
            if not any("lost" in text for _, _, text in wrong) or time.monotonic() > end:
                break
            time.sleep(2.0)
        other = {a: check.Final(fronts[1], a) for a in mail}
        for account, final in other.items():
            if final.boxes != mail[account].boxes:
                wrong.append(("P3", None, "%s looks different through the other front-end" % account))
        wrong += check.check_quota(self.programs, mail) + check.check_copies(self.programs, PARTITIONS)
        for promise, at, text in wrong:
            self.violate(promise, at, text)
        self.report = report.Report(self, events)

    def check_logs(self):
        """No sanitizer's report. (RocksDB's own assertions may end a node whose disk is full: it would have ended anyway.)"""
        for program in self.programs.by_name.values():
            for line in program.log().splitlines():
                if harness.SANITIZER_REPORT.search(line) and "rocksdb::" not in line:
                    self.violate("P8", None, "%s: %s" % (program.name, line))

    def close(self):
        self.programs.close()
