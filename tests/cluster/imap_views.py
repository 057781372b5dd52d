#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Several IMAP sessions of one account do random things to one mailbox; each keeps the numbers it was told.

    tests/cluster/imap_views.py --imap 127.0.0.1:2143 --user bob@example.test:secret [--steps 500] [--seed N]

A session applies what it hears (EXISTS, EXPUNGE, FETCH) to its own table of sequence number, UID and flags, as a mail
client does. Whenever a response names a message by number and UID, the table must agree; nothing may be expunged in the
answer to FETCH, STORE or SEARCH without UID; and at the end, after a NOOP, all sessions must hold the same table as a
fresh one. A seed repeats the commands (not their interleaving with a busy server). Standard library only.
"""
import argparse
import random
import re
import socket
import sys

FLAGS = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$Work", "$Home"]
RECENT = "\\Recent"


class Wrong(Exception):
    pass


class Session:
    def __init__(self, name, address, user, password, context):
        self.name = name
        self.sock = socket.create_connection(address, timeout=30)
        if context:
            self.sock = context.wrap_socket(self.sock)
        self.file = self.sock.makefile("rb")
        self.tag = 0
        self.table = []  # of [uid or None, flags or None]
        self.log = []
        self.line()
        self.run(f'LOGIN {user} "{password}"')
        self.run("SELECT INBOX")
        self.refresh()

    def line(self):
        line = self.file.readline()
        if not line:
            raise Wrong("the server hung up")
        line = line.rstrip(b"\r\n").decode()
        self.log.append("S " + line)
        return line

    def send(self, text):
        self.log.append("C " + text)
        self.sock.sendall(text.encode() + b"\r\n")

    def run(self, command, want="OK"):
        """One command to its tagged answer; applies what comes."""
        self.tag += 1
        tag = f"t{self.tag}"
        self.log = self.log[-60:]
        self.send(f"{tag} {command}")
        verb = command.split()[0]
        while True:
            line = self.line()
            if line.startswith("+"):
                return line
            if line.startswith(tag + " "):
                if want and not line.startswith(f"{tag} {want}"):
                    raise Wrong(f"{command}: {line}")
                return line
            self.apply(verb, line)

    def apply(self, verb, line):
        if match := re.match(r"\* (\d+) EXISTS$", line):
            count = int(match.group(1))
            if count < len(self.table):
                raise Wrong(f"EXISTS {count} with {len(self.table)} known")
            self.table += [[None, None] for _ in range(count - len(self.table))]
        elif match := re.match(r"\* (\d+) EXPUNGE$", line):
            if verb in ("FETCH", "STORE", "SEARCH"):
                raise Wrong(f"EXPUNGE in the answer to {verb}")
            if not 1 <= int(match.group(1)) <= len(self.table):
                raise Wrong(f"{line} with {len(self.table)} known")
            del self.table[int(match.group(1)) - 1]
        elif match := re.match(r"\* (\d+) FETCH \((.*)\)$", line):
            self.apply_fetch(int(match.group(1)), match.group(2))

    def apply_fetch(self, number, items):
        if not 1 <= number <= len(self.table):
            raise Wrong(f"FETCH of {number} with {len(self.table)} known")
        row = self.table[number - 1]
        if uid := re.search(r"UID (\d+)", items):
            if row[0] not in (None, int(uid.group(1))):
                raise Wrong(f"number {number} is UID {uid.group(1)}, but was {row[0]}")
            row[0] = int(uid.group(1))
        if flags := re.search(r"FLAGS \(([^)]*)\)", items):
            row[1] = frozenset(flags.group(1).split()) - {RECENT}

    def refresh(self):
        if self.table:
            self.run("UID FETCH 1:* (FLAGS)")

    def check(self):
        uids = [row[0] for row in self.table if row[0] is not None]
        if uids != sorted(set(uids)):
            raise Wrong(f"UIDs do not ascend: {uids}")


class Actor:
    """What a session does at random."""

    def __init__(self, session, rng):
        self.session = session
        self.rng = rng

    def some(self):
        count = len(self.session.table)
        if count == 0:
            return None
        first = self.rng.randint(1, count)
        return f"{first}:{min(count, first + self.rng.randint(0, 5))}" if self.rng.random() < 0.6 else str(first)

    def some_uids(self):
        uids = [row[0] for row in self.session.table if row[0]]
        return ",".join(map(str, self.rng.sample(uids, min(len(uids), self.rng.randint(1, 4))))) if uids else None

    def append(self):
        body = "Subject: x\r\n\r\n" + "y" * self.rng.randint(0, 200) + "\r\n"
        self.session.send(f"app APPEND INBOX ({self.rng.choice(FLAGS)}) {{{len(body)}+}}\r\n{body}")
        while True:
            line = self.session.line()
            if line.startswith("app "):
                if not line.startswith("app OK"):
                    raise Wrong(line)
                return
            self.session.apply("APPEND", line)

    def store(self):
        silent = self.rng.choice(["", "", ".SILENT"])
        sign = self.rng.choice(["+", "-", ""])
        flags = self.rng.sample(FLAGS[:3] + FLAGS[4:], self.rng.randint(1, 2))
        if self.rng.random() < 0.15:
            flags.append("\\Deleted")
        by_uid = self.rng.random() < 0.5
        what = self.some_uids() if by_uid else self.some()
        if not what:
            return
        self.session.run(f"{'UID ' if by_uid else ''}STORE {what} {sign}FLAGS{silent} ({' '.join(flags)})")
        if silent:
            self.note_silent(what, by_uid, sign, set(flags))

    def note_silent(self, what, by_uid, sign, flags):
        """What a client assumes after .SILENT. Those it was told of are what they were told to be."""
        rows = self.session.table
        if by_uid:
            chosen = [row for row in rows if row[0] and str(row[0]) in what.split(",")]
        else:
            first, _, last = what.partition(":")
            chosen = rows[int(first) - 1:int(last or first)]
        for row in chosen:
            if row[1] is not None:
                row[1] = frozenset(row[1] | flags if sign == "+" else row[1] - flags if sign == "-" else flags)

    def fetch(self):
        if self.rng.random() < 0.5:
            if what := self.some():
                self.session.run(f"FETCH {what} (UID FLAGS)")
        else:
            self.session.refresh()

    def search(self):
        self.session.run(self.rng.choice(["SEARCH DELETED", "UID SEARCH SEEN", "SEARCH RETURN (COUNT) ALL"]))

    def expunge(self):
        uids = self.some_uids()
        if uids and self.rng.random() < 0.4:
            self.session.run(f"UID EXPUNGE {uids}")
        else:
            self.session.run("EXPUNGE")

    def move(self):
        if what := self.some_uids():
            self.session.run(f"UID {self.rng.choice(['MOVE', 'COPY'])} {what} {self.rng.choice(['Trash', 'INBOX'])}")

    def idle(self):
        self.session.run("IDLE")
        self.session.send("DONE")
        while True:
            line = self.session.line()
            if re.match(r"t\d+ ", line):
                return
            self.session.apply("IDLE", line)

    def step(self):
        act = self.rng.choices([self.append, self.store, self.fetch, self.search, self.expunge, self.move, self.idle,
                                lambda: self.session.run("NOOP")], [20, 30, 20, 5, 6, 6, 5, 8])[0]
        act()
        self.session.check()


def play(address, user, password, seed, session_count=3, steps=500, context=None):
    """None, or what went wrong. With an SSL context the port speaks TLS from the first byte."""
    rng = random.Random(seed)
    sessions = [Session(chr(65 + i), address, user, password, context) for i in range(session_count)]
    actors = [Actor(session, rng) for session in sessions]
    actor = actors[0]
    try:
        for _ in range(steps):
            actor = rng.choice(actors)
            actor.step()
        for actor in actors:
            actor.session.run("NOOP")
        fresh = Session("fresh", address, user, password, context)
        for actor in actors:
            told = [row[1] for row in actor.session.table]
            for (uid, flags), now in zip(actor.session.table, fresh.table):
                if uid not in (None, now[0]) or flags not in (None, now[1]):
                    raise Wrong(f"holds {uid} {flags}, but there is {now}")
            if len(told) != len(fresh.table):
                raise Wrong(f"holds {len(told)} messages, but there are {len(fresh.table)}")
    except Wrong as error:
        log = "\n".join("    " + line for line in actor.session.log[-30:])
        return f"seed {seed}, session {actor.session.name}: {error}\n{log}"
    return None


def main():
    parser = argparse.ArgumentParser(description="Random sessions of one account must agree on their mailbox.")
    parser.add_argument("--imap", required=True, metavar="HOST:PORT")
    parser.add_argument("--user", required=True, metavar="ADDRESS:PASSWORD")
    parser.add_argument("--sessions", type=int, default=3)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.randrange(1 << 30)
    host, port = arguments.imap.rsplit(":", 1)
    user, password = arguments.user.rsplit(":", 1)
    fault = play((host, int(port)), user, password, seed, arguments.sessions, arguments.steps)
    print(fault or f"ok: seed {seed}, {arguments.sessions} sessions, {arguments.steps} steps")
    return 1 if fault else 0


if __name__ == "__main__":
    sys.exit(main())
