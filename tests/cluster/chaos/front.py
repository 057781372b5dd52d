# SPDX-License-Identifier: Apache-2.0
"""The clients' side of the wire: which front-end to use, as a balancer in front of them decides it, and connections that end when it
takes their front-end out."""
import http.client
import itertools
import socket
import threading
import time

import wire
from .programs import HTTP_PORT, PORTS

CHECK_INTERVAL = 0.5  # seconds; a front-end that misses two checks is out, one good one brings it back
ANSWER_TIMEOUT = 40.0  # as patient as mail programs are
CONNECT_TIMEOUT = 3.0


class Front:
    """A front-end as `wire` sees a cluster."""

    def __init__(self, address):
        self.host, self.ports, self.missed = address, PORTS, 0

    @property
    def is_up(self):
        return self.missed < 2


class Balancer(threading.Thread):
    def __init__(self, addresses):
        super().__init__(daemon=True)
        self.fronts = [Front(a) for a in addresses]
        self.turn = itertools.count()
        self.start()

    def run(self):
        while True:
            for front in self.fronts:
                front.missed = 0 if self.check(front) else front.missed + 1
            time.sleep(CHECK_INTERVAL)

    def check(self, front):
        try:
            connection = http.client.HTTPConnection(front.host, HTTP_PORT, timeout=CHECK_INTERVAL)
            try:
                connection.request("GET", "/readyz")
                return connection.getresponse().status == 200
            finally:
                connection.close()
        except (OSError, http.client.HTTPException):
            return False

    def pick(self):
        """The next one that is up; any if none is."""
        up = [f for f in self.fronts if f.is_up] or self.fronts
        return up[next(self.turn) % len(up)]


class Patient:
    """Mixed into wire's connections: a wait ends when the balancer has taken the front-end out, or after ANSWER_TIMEOUT,
    or when the owner ends."""

    is_ending = staticmethod(lambda: False)

    def fill(self):
        end = time.monotonic() + ANSWER_TIMEOUT
        self.socket.settimeout(0.5)
        while True:
            try:
                return super().fill()
            except socket.timeout:
                if not self.cluster.is_up:
                    raise EOFError("the front-end is gone")
                if time.monotonic() > end or self.is_ending():
                    raise EOFError("no answer within %.0f s" % ANSWER_TIMEOUT)

    def send(self, data):
        self.socket.settimeout(CONNECT_TIMEOUT)
        super().send(data)


class Smtp(Patient, wire.Smtp):
    def __init__(self, front):
        super().__init__(front, timeout=CONNECT_TIMEOUT)


class Submission(Patient, wire.Smtp):
    def __init__(self, front):
        super().__init__(front, service="submission", timeout=CONNECT_TIMEOUT)


class Imap(Patient, wire.Imap):
    def __init__(self, front, user, select=None):
        super().__init__(front, service="imap", timeout=CONNECT_TIMEOUT)
        self.command('LOGIN "%s" "%s"' % (user, wire.PASSWORD))
        self.selected = self.command('SELECT "%s" (CONDSTORE)' % select) if select else None


class Pop3(Patient, wire.Pop3):
    def __init__(self, front, user):
        super().__init__(front, service="pop3", timeout=CONNECT_TIMEOUT)
        for line in ("USER " + user, "PASS " + wire.PASSWORD):
            answer = self.command(line)
            if not answer.startswith("+OK"):
                raise EOFError(answer)
