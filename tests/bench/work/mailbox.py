# SPDX-License-Identifier: Apache-2.0
"""One large mailbox and one client: FETCH, SEARCH, STORE, COPY."""
import random

import corpus
import imap
import measure
from metrics import Metric, PEERS, Times
from work.bench import Bench, Watch

USER = "big%d@example.test"
FETCHES = (("flags", "FETCH 1:* of flags", "FETCH 1:* (UID FLAGS)"),
           ("structure", "FETCH 1:* of envelope and body structure",
            "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"),
           ("bodies", "FETCH 1:* of bodies", "FETCH 1:* (UID BODY.PEEK[])"))
SEARCHES = (("unseen", "SEARCH UNSEEN", "UID SEARCH UNSEEN"),
            ("subject", "SEARCH HEADER Subject", "UID SEARCH HEADER Subject invoice"),
            ("body", "SEARCH BODY of a word that many have", "UID SEARCH BODY newsletter"),
            ("body_none", "SEARCH BODY of a word that none has", "UID SEARCH BODY qqzzxxnone"))
RANDOM_SEED = 7
VARIETY = 1000  # different messages


class Mailbox(Bench):
    """Benches of one user's INBOX with many varied messages, which they share."""

    def prepare(self, side):
        side.add_users(USER, 1)
        messages = corpus.read(corpus.varied(self.tools.mail_folder, min(VARIETY, self.plan.big_mailbox)))
        imap.fill(side, [USER % 1], messages, self.plan.big_mailbox)

    def open(self, side):
        session = imap.Imap(side.ports["imap"], USER % 1, side.password)
        session.command("SELECT INBOX")
        return session

    def time(self, side, command):
        """Wall-clock and CPU ms of a command in a new session."""
        with self.open(side) as session, Watch(side) as watch:
            session.command(command)
        return watch


class Fetch(Mailbox):
    name = "fetch"

    def __init__(self, plan, tools):
        super().__init__(plan, tools)
        for key, title, _ in FETCHES:
            self.metrics += [Metric("fetch.%s.warm" % key, title + ", warm", "ms", False, Times(1)),
                             Metric("fetch.%s.cpu" % key, title + ", warm: CPU", "ms")]
            if plan.is_cold:
                self.metrics.append(Metric("fetch.%s.cold" % key, title + ", cold page cache", "ms"))
        if plan.is_cold:
            self.metrics.append(Metric("fetch.structure.cold_index", "FETCH 1:* of envelope and body structure, cold index", "ms", False,
                                       Times(3)))

    def prepare(self, side):
        super().prepare(side)
        for _, _, command in FETCHES:
            self.time(side, command)

    def time_cold(self, side, command, forget):
        """ms of a command when nothing of the mailbox is in memory; `forget` is called while the server is idle."""
        side.restart()
        forget()
        if measure.is_privileged():
            measure.drop_page_cache()
        return self.time(side, command).wall_ms

    def measure(self, side):
        result = {}
        for key, _, command in FETCHES:
            watch = self.time(side, command)
            result["fetch.%s.warm" % key] = watch.wall_ms
            result["fetch.%s.cpu" % key] = watch.cpu_ms
        if self.plan.is_cold:
            for key, _, command in FETCHES:
                result["fetch.%s.cold" % key] = self.time_cold(side, command, lambda: None)
            structure = dict((key, command) for key, _, command in FETCHES)["structure"]
            result["fetch.structure.cold_index"] = self.time_cold(side, structure, lambda: side.drop_index(USER % 1))
            for _, _, command in FETCHES:
                self.time(side, command)  # warm again
        return result


class Search(Mailbox):
    name = "search"

    def __init__(self, plan, tools):
        super().__init__(plan, tools)
        for key, title, _ in SEARCHES:
            self.metrics += [Metric("search." + key, title, "ms"), Metric("search.%s.cpu" % key, title + ": CPU", "ms")]

    def measure(self, side):
        result = {}
        for key, _, command in SEARCHES:
            watch = self.time(side, command)
            result.update({"search." + key: watch.wall_ms, "search.%s.cpu" % key: watch.cpu_ms})
        return result


class Store(Mailbox):
    name = "store"

    def __init__(self, plan, tools):
        super().__init__(plan, tools)
        self.metrics = [Metric("store.all", "STORE 1:*, add a flag and take it away", "ms"),
                        Metric("store.single", "single STORE of one message, one after the other", "ms"),
                        Metric("store.single.cpu", "single STORE of one message: CPU", "ms"),
                        Metric("store.copy", "COPY of %d messages" % plan.copied, "ms")]

    def measure(self, side):
        if side.name == PEERS:
            side.restart(fsync="always")  # the promise that Tern makes with its OK
        try:
            with self.open(side) as session:
                return self.measure_session(side, session)
        finally:
            if side.name == PEERS:
                side.restart()

    def measure_session(self, side, session):
        with Watch(side) as all_watch:
            session.command("STORE 1:* +FLAGS.SILENT (\\Flagged)")
            session.command("STORE 1:* -FLAGS.SILENT (\\Flagged)")
        chosen = random.Random(RANDOM_SEED)
        with Watch(side) as single_watch:
            for number in range(self.plan.single_stores):
                sign = "+-"[number % 2]
                session.command("STORE %d %sFLAGS (\\Answered)" % (chosen.randint(1, self.plan.big_mailbox), sign))
        session.command("CREATE copies")
        with Watch(side) as copy_watch:
            session.command("COPY 1:%d copies" % self.plan.copied)
        session.command("DELETE copies")
        return {"store.all": all_watch.wall_ms / 2, "store.single": single_watch.wall_ms / self.plan.single_stores,
                "store.single.cpu": single_watch.cpu_ms / self.plan.single_stores, "store.copy": copy_watch.wall_ms}
