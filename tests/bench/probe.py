# SPDX-License-Identifier: Apache-2.0
"""Users who read and write without a break, and for how long each was without service."""
import socket
import threading
import time

import imap

PAUSE = 0.02  # seconds between two commands of a session
SETTLE = 1.0  # before something is done to the cluster


class Session(threading.Thread):
    """One IMAP session that repeats a command; a refusal or a lost connection is no service."""

    def __init__(self, side, user, commands):
        super().__init__(daemon=True)
        self.side, self.user, self.commands = side, user, commands
        self.answers, self.refusals, self.is_ending = [], 0, False

    def _repeat(self):
        with imap.Imap(self.side.ports["imap"], self.user, self.side.password) as session:
            session.command("SELECT INBOX")
            while not self.is_ending:
                session.command(self.commands[len(self.answers) % len(self.commands)])
                self.answers.append(time.monotonic())
                time.sleep(PAUSE)

    def run(self):
        while not self.is_ending:
            try:
                self._repeat()
            except (imap.Refused, EOFError, OSError, socket.timeout):
                self.refusals += 1
                time.sleep(PAUSE)

    def longest_gap(self, since):
        """Seconds between two answers, the later one after `since`; up to now if there is none."""
        times = [t for t in self.answers if t <= since][-1:] + [t for t in self.answers if t > since] + [time.monotonic()]
        return max((b - a for a, b in zip(times, times[1:])), default=0.0)


class Probes:
    """For each user one session that reads and one that writes, durably."""

    def __init__(self, side, users):
        self.users = users
        self.sessions = []
        for user in users:
            self.sessions += [Session(side, user, ["UID FETCH 1 (FLAGS)"]),
                              Session(side, user, ["UID STORE 1 +FLAGS.SILENT (\\Flagged)", "UID STORE 1 -FLAGS.SILENT (\\Flagged)"])]

    def __enter__(self):
        for session in self.sessions:
            session.start()
        time.sleep(SETTLE)
        return self

    def __exit__(self, *exception):
        for session in self.sessions:
            session.is_ending = True
        for session in self.sessions:
            session.join(imap.TIMEOUT)

    def gaps(self, since):
        """Of each user, the longer of both sessions' longest gaps, in seconds."""
        gaps = [session.longest_gap(since) for session in self.sessions]
        return [max(pair) for pair in zip(gaps[::2], gaps[1::2])]

    def refusals(self):
        return sum(session.refusals for session in self.sessions)
