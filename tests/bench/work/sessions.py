# SPDX-License-Identifier: Apache-2.0
"""Short sessions, many at a time: IMAP login, SELECT, logout; POP3 with ten RETR."""
import corpus
import imap
import load
from metrics import Metric, PEERS, Times
from work.bench import Bench, Watch

LOGIN_USERS = "login%d@example.test"
LOGIN_MAILBOX = 20  # messages
POP3_USERS = "pop%d@example.test"
POP3_MESSAGES = 10
MESSAGE_SIZE = 5000
REUSE = 1000  # sessions that a mail process of Dovecot may serve in its tuned form


def fill_all(side, user_format, users, count, folder):
    side.add_users(user_format, users)
    messages = corpus.read(corpus.sized(folder, MESSAGE_SIZE))
    imap.fill(side, [user_format % number for number in range(1, users + 1)], messages, count)


class Login(Bench):
    name = "login"

    def __init__(self, plan, tools):
        super().__init__(plan, tools)
        what = "IMAP login, SELECT, logout, %d clients" % plan.sessions
        self.metrics = [Metric("login.rate", what, "sessions/s", True, Times(5)),
                        Metric("login.cpu", what + ": CPU", "ms a session", False, Times(5)),
                        Metric("login.p50", what + ": median", "ms"),
                        Metric("login.tuned.rate", what + "; Dovecot reusing processes, passwords in clear", "sessions/s", True),
                        Metric("login.tuned.cpu", what + "; Dovecot reusing processes, passwords in clear: CPU", "ms a session")]

    def prepare(self, side):
        fill_all(side, LOGIN_USERS, self.plan.users, LOGIN_MAILBOX, self.tools.mail_folder)

    def run_load(self, side):
        """Rate, CPU a session, median time."""
        with Watch(side) as watch:
            report = load.run(self.tools.load, "imap", side.ports["imap"], side, (LOGIN_USERS.replace("%d", "%u"), self.plan.users),
                              self.plan.sessions, ("seconds", self.plan.seconds))
        return report["units"] / report["seconds"], watch.cpu_ms / report["units"], report["p50_ms"]

    def measure(self, side):
        rate, cpu, median = self.run_load(side)
        result = {"login.rate": rate, "login.cpu": cpu, "login.p50": median}
        if side.name == PEERS:
            side.restart(reuse=REUSE, is_hashed=False)
            rate, cpu, _ = self.run_load(side)
            side.restart()
        return dict(result, **{"login.tuned.rate": rate, "login.tuned.cpu": cpu})


class Pop3(Bench):
    name = "pop3"

    def __init__(self, plan, tools):
        super().__init__(plan, tools)
        what = "POP3 session with %d RETR of 5 KB, %d clients" % (POP3_MESSAGES, plan.pop3_sessions)
        self.metrics = [Metric("pop3.rate", what, "sessions/s", True, Times(3)),
                        Metric("pop3.cpu", what + ": CPU", "ms a session", False),
                        Metric("pop3.p50", what + ": median", "ms")]

    def prepare(self, side):
        fill_all(side, POP3_USERS, self.plan.users, POP3_MESSAGES, self.tools.mail_folder)

    def measure(self, side):
        with Watch(side) as watch:
            report = load.run(self.tools.load, "pop3", side.ports["pop3"], side, (POP3_USERS.replace("%d", "%u"), self.plan.users),
                              self.plan.pop3_sessions, ("seconds", self.plan.seconds), retrieve=POP3_MESSAGES)
        return {"pop3.rate": report["units"] / report["seconds"], "pop3.cpu": watch.cpu_ms / report["units"],
                "pop3.p50": report["p50_ms"]}
