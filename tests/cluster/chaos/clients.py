# SPDX-License-Identifier: Apache-2.0
"""Clients that bring mail and read it, each a thread that goes on whatever happens and writes down every answer."""
import base64
import random
import re
import threading
import time

from . import front, history
from wire import PASSWORD

ARCHIVE = "Archive"
INTERRUPTED = (OSError, EOFError, AssertionError)


def number(pattern, text):
    match = re.search(pattern, text if isinstance(text, bytes) else text.encode())
    return int(match.group(1)) if match else None


class Client(threading.Thread):
    """turn(session) again and again, `rate` times a second, in one session until that ends."""

    def __init__(self, balancer, log, name, rate):
        super().__init__(name=name)
        self.balancer, self.log, self.interval = balancer, log, 1.0 / rate
        self.random = random.Random(name)
        self.count, self.stopping, self.session = 0, False, None

    def run(self):
        next_turn = time.monotonic()
        while not self.stopping:
            try:
                with self.connect(self.balancer.pick()) as self.session:
                    while not self.stopping:
                        self.turn(self.session)
                        next_turn = max(next_turn + self.interval * self.random.uniform(0.5, 1.5), time.monotonic() - 1)
                        time.sleep(max(0.0, next_turn - time.monotonic()))
                    self.leave(self.session)
            except INTERRUPTED:
                time.sleep(0.2)

    def leave(self, session):
        pass

    def identity(self):
        self.count += 1
        return "%s.%d" % (self.name, self.count)

    def note(self, kind, begun, ok, **what):
        self.log.add(kind, begun, ok=ok, **what)


class SmtpClient(Client):
    """Mail from outside (port 25) for one to three accounts, or submitted by one of them."""

    def __init__(self, balancer, log, name, rate, accounts, submit=False):
        super().__init__(balancer, log, name, rate)
        self.accounts, self.submit = accounts, submit

    def connect(self, where):
        if not self.submit:
            return front.Smtp(where)
        smtp = front.Submission(where)
        self.sender = self.random.choice(self.accounts)
        login = base64.b64encode(("\0%s\0%s" % (self.sender, PASSWORD)).encode()).decode()
        if not smtp.command("AUTH PLAIN " + login).startswith("235"):
            raise EOFError("not logged in")
        return smtp

    def turn(self, smtp):
        identity, begun, answer = self.identity(), time.monotonic(), ""
        to = self.random.sample(self.accounts, 1 if self.random.random() < 0.8 else 3)
        try:
            for line in ["MAIL FROM:<%s>" % (self.sender if self.submit else "sender@elsewhere.test")] + [
                    "RCPT TO:<%s>" % a for a in to]:
                answer = smtp.command(line)
                if not answer.startswith("250"):
                    raise EOFError("no envelope")
            if self.random.random() < 0.5:
                answer = smtp.data(history.message(identity))
            else:
                answer = smtp.bdat(history.message(identity))
            self.note("deliver", begun, answer.startswith("250"), id=identity, to=to, answer=answer[:60])
        except INTERRUPTED as error:
            self.note("deliver", begun, False, id=identity, to=to, answer=answer[:60] or str(error)[:60])
            raise
        if not answer.startswith("250"):
            time.sleep(0.5)


class AppendClient(Client):
    def __init__(self, balancer, log, name, rate, account):
        super().__init__(balancer, log, name, rate)
        self.account = account

    def connect(self, where):
        return front.Imap(where, self.account)

    def turn(self, imap):
        identity, begun = self.identity(), time.monotonic()
        what = {"a": self.account, "box": "INBOX", "id": identity}
        try:
            imap.append("INBOX", history.message(identity), allow=("OK", "NO"))
        except INTERRUPTED:
            self.note("append", begun, False, **what)
            raise
        ok = imap.status.startswith("OK")
        self.note("append", begun, ok, uid=number(rb"APPENDUID \d+ (\d+)", imap.status), **what)


class Keeper(Client):
    """The only one who changes an account's messages: flags, copies, moves, deletes. What it is not sure of, it leaves alone."""

    def __init__(self, balancer, log, name, rate, account):
        super().__init__(balancer, log, name, rate)
        self.account = account
        self.doubtful = set()  # uids
        self.known = {}  # uid: id
        self.top = 0

    def connect(self, where):
        imap = front.Imap(where, self.account, select="INBOX")
        self.known = {uid: i for uid, i in self.known.items() if uid not in self.doubtful}
        return imap

    def refresh(self, imap):
        rows = imap.fetch("%d:*" % (self.top + 1), "(UID ENVELOPE)", uid=True)
        for data in rows.values():
            uid = int(data["UID"])
            if uid > self.top:
                self.known[uid] = data["ENVELOPE"][1].decode()
        self.top = max([self.top, *self.known])

    def turn(self, imap):
        if len(self.known) < 5:
            self.refresh(imap)
        if not self.known:
            return
        uid = self.random.choice(sorted(self.known)[:20])
        what = {"a": self.account, "box": "INBOX", "uid": uid, "id": self.known[uid]}
        chance = self.random.random()
        try:
            if chance < 0.4:
                self.flag(imap, uid, what)
            elif chance < 0.55:
                self.send(imap, "copy", "UID COPY %d %s" % (uid, ARCHIVE), what)
            elif chance < 0.75:
                self.send(imap, "move", "UID MOVE %d %s" % (uid, ARCHIVE), what)
                self.known.pop(uid)
            else:
                imap.command(r"UID STORE %d +FLAGS.SILENT (\Deleted)" % uid)
                self.send(imap, "expunge", "UID EXPUNGE %d" % uid, what)
                self.known.pop(uid)
        except INTERRUPTED:
            self.doubtful.add(uid)
            self.known.pop(uid, None)
            raise

    def flag(self, imap, uid, what):
        flag = self.random.choice([r"\Flagged", r"\Seen", r"\Answered", "$Work", "$Later"])
        sign = self.random.choice("++-")
        begun = time.monotonic()
        try:
            imap.command("UID STORE %d %sFLAGS.SILENT (%s)" % (uid, sign, flag))
        except INTERRUPTED:
            self.note("flag", begun, False, flag=flag, on=sign == "+", **what)
            raise
        self.note("flag", begun, True, flag=flag, on=sign == "+", **what)

    def send(self, imap, kind, command, what):
        """A command that acts on the message; COPYUID tells where it went."""
        begun = time.monotonic()
        try:
            untagged = imap.command(command)
        except INTERRUPTED:
            self.note(kind, begun, False, **what)
            raise
        told = b" ".join(untagged) + imap.status.encode()
        self.note(kind, begun, True, uid2=number(rb"COPYUID \d+ \d+ (\d+)", told), **what)


class Looker(Client):
    """Looks at a mailbox from a new angle each time: its counters, its newest messages and one of their bodies."""

    def __init__(self, balancer, log, name, rate, accounts):
        super().__init__(balancer, log, name, rate)
        self.accounts = accounts

    def connect(self, where):
        self.account = self.random.choice(self.accounts)
        self.left = 10
        return front.Imap(where, self.account)

    def turn(self, imap):
        box = self.random.choice(["INBOX", "INBOX", ARCHIVE])
        begun = time.monotonic()
        told = b" ".join(imap.command("SELECT %s (CONDSTORE)" % box))
        uidnext, exists = number(rb"UIDNEXT (\d+)", told), number(rb"(\d+) EXISTS", told)
        validity, modseq = number(rb"UIDVALIDITY (\d+)", told), number(rb"HIGHESTMODSEQ (\d+)", told)
        seen = []
        if exists:
            rows = imap.fetch("%d:*" % max(1, exists - 15), "(UID ENVELOPE RFC822.SIZE FLAGS MODSEQ)").values()
            seen = [[int(data["UID"]), data["ENVELOPE"][1].decode()] for data in rows if "ENVELOPE" in data]
        self.note("look", begun, True, a=self.account, box=box, validity=validity, uidnext=uidnext, modseq=modseq,
                  messages=exists, seen=seen)
        if seen:
            self.read_one(imap, box, *self.random.choice(seen))
        self.left -= 1
        if self.left == 0:
            raise EOFError("another account, another front-end")

    def read_one(self, imap, box, uid, identity):
        for data in imap.fetch(str(uid), "(UID RFC822.SIZE BODY.PEEK[])", uid=True).values():
            if int(data["UID"]) != uid or "BODY[]" not in data:
                continue
            body = data["BODY[]"]
            if not history.is_whole(identity, body) or int(data["RFC822.SIZE"]) != len(body):
                self.log.bad("%s %s UID %d: not the whole of %s (%d octets)" % (self.account, box, uid, identity, len(body)))


class Idler(Client):
    """IDLE on INBOX: how soon it is told of a message."""

    def __init__(self, balancer, log, name, account):
        super().__init__(balancer, log, name, 100)
        self.account, self.uidnext = account, None

    def connect(self, where):
        imap = front.Imap(where, self.account, select="INBOX")
        imap.is_ending = lambda: self.stopping
        told = number(rb"UIDNEXT (\d+)", b" ".join(imap.selected))
        if self.uidnext is None:
            self.uidnext = told
        self.fetch(imap)
        return imap

    def turn(self, imap):
        tag, self.begun = imap.next_tag(), time.monotonic()
        imap.send(tag + b" IDLE\r\n")
        while True:
            try:
                line = imap.line()
            except EOFError as error:
                if "no answer" not in str(error):
                    raise
                line = b" EXISTS"  # a quiet mailbox: look again
            if line.endswith(b" EXISTS") or self.stopping:
                break
        imap.send(b"DONE\r\n")
        imap.finish(tag)
        self.fetch(imap)

    def fetch(self, imap):
        rows = imap.fetch("%d:*" % self.uidnext, "(UID ENVELOPE)", uid=True)
        for data in rows.values():
            uid = int(data["UID"])
            if uid >= self.uidnext and "ENVELOPE" in data:
                self.note("notice", time.monotonic(), True, a=self.account, box="INBOX", uid=uid, id=data["ENVELOPE"][1].decode())
        self.uidnext = max([self.uidnext] + [int(data["UID"]) + 1 for data in rows.values()])


class PopClient(Client):
    """Takes what is there, and deletes it."""

    def __init__(self, balancer, log, name, rate, account):
        super().__init__(balancer, log, name, rate)
        self.account = account

    def connect(self, where):
        return front.Pop3(where, self.account)

    def turn(self, pop):
        listed = [line.split() for line in pop.multiline("UIDL").decode().splitlines()]
        self.log.add("drop", time.monotonic(), a=self.account, uidls=[uidl for _, uidl in listed])
        taken = []
        for at, uidl in listed[:20]:
            begun = time.monotonic()
            body = pop.multiline("RETR " + at)
            identity = history.identity_of(body)
            if identity is None or not history.is_whole(identity, body):
                self.log.bad("%s %s: not the whole of %s" % (self.account, uidl, identity))
            self.note("retrieve", begun, True, a=self.account, id=identity, uidl=uidl)
            if self.random.random() < 0.8:
                if not pop.command("DELE " + at).startswith("+OK"):
                    raise EOFError("DELE refused")
                taken.append((uidl, identity))
        begun, ok = time.monotonic(), False
        try:
            ok = pop.command("QUIT").startswith("+OK")
        finally:
            self.note("quit", begun, ok, a=self.account, taken=taken)
        time.sleep(self.interval)
        raise EOFError("the session is over")
