# SPDX-License-Identifier: Apache-2.0
"""The judgement: the whole history against what the mailboxes hold at the end. Each function answers with violations, as
(promise, time or None, text)."""
import bisect
import json
import time
from collections import defaultdict

import wire
from . import history
from .clients import ARCHIVE, number

BOXES = ("INBOX", ARCHIVE)
COPIES_TRIES, COPIES_MAX = 3, 120.0  # of a comparison; seconds


class Final:
    """What is in an account at the end."""

    def __init__(self, front, account):
        self.account, self.boxes, self.problems, self.size, self.messages = account, {}, [], 0, 0
        with wire.Imap(front, service="imap", timeout=120) as imap:
            imap.command('LOGIN "%s" "%s"' % (account, wire.PASSWORD))
            for box in BOXES:
                self.boxes[box] = self.read(imap, box)

    def read(self, imap, box):
        """{uid: (id, flags)}; the counters must agree with it."""
        told = b" ".join(imap.command("STATUS %s (MESSAGES UIDNEXT UNSEEN DELETED SIZE)" % box, allow=("OK", "NO")))
        if not imap.status.startswith("OK"):
            return {}  # never made
        imap.command("EXAMINE %s" % box)
        found, size, exists = {}, 0, number(rb"MESSAGES (\d+)", told)
        for first in range(1, exists + 1, 200):
            rows = imap.fetch("%d:%d" % (first, min(exists, first + 199)), "(UID FLAGS RFC822.SIZE ENVELOPE BODY.PEEK[])")
            for data in rows.values():
                uid, identity = int(data["UID"]), data["ENVELOPE"][1].decode()
                found[uid] = (identity, {f.decode() for f in data["FLAGS"]})
                size += len(data["BODY[]"])
                if not history.is_whole(identity, data["BODY[]"]) or int(data["RFC822.SIZE"]) != len(data["BODY[]"]):
                    self.problems.append(("P5", None, "%s %s UID %d: not the whole of %s" % (self.account, box, uid, identity)))
        counted = {"MESSAGES": len(found), "SIZE": size, "UNSEEN": sum(r"\Seen" not in flags for _, flags in found.values()),
                   "DELETED": sum(r"\Deleted" in flags for _, flags in found.values())}
        for name, value in counted.items():
            if number(rb"%s (\d+)" % name.encode(), told) != value:
                self.problems.append(("P5", None, "%s %s: STATUS says %r, but %s are %d" % (self.account, box, told, name, value)))
        self.size, self.messages = self.size + size, self.messages + len(found)
        if found and number(rb"UIDNEXT (\d+)", told) <= max(found):
            self.problems.append(("P3", None, "%s %s: UIDNEXT is not above all UIDs" % (self.account, box)))
        return found


class Expected:
    """How often a message must and may be in a mailbox."""

    def __init__(self):
        self.low, self.high, self.time = 0, 0, None

    def add(self, low, high):
        self.low, self.high = self.low + low, self.high + high


def expectations(events, accounts):
    """{(account, mailbox, id): Expected}"""
    expected = defaultdict(Expected)
    for e in events:
        kind, low = e["k"], 1 if e.get("ok") else 0
        if kind == "deliver":
            for account in e["to"]:
                expected[account, "INBOX", e["id"]].add(low, 1)
                expected[account, "INBOX", e["id"]].time = e["t1"] if low else None
        elif kind == "append":
            expected[e["a"], e["box"], e["id"]].add(low, 1)
            expected[e["a"], e["box"], e["id"]].time = e["t1"] if low else None
        elif kind == "copy":
            expected[e["a"], ARCHIVE, e["id"]].add(low, 1)
        elif kind == "move":
            expected[e["a"], e["box"], e["id"]].add(-1, -low)
            expected[e["a"], ARCHIVE, e["id"]].add(low, 1)
        elif kind == "expunge":
            expected[e["a"], e["box"], e["id"]].add(-1, -low)
    return {key: value for key, value in expected.items() if key[0] in accounts}


def seen_by_keeper(events, expected):
    """What the keeper has acted upon was there, acknowledged or not."""
    for e in events:
        if e["k"] in ("copy", "move", "expunge") and e["ok"]:
            e_in = expected.get((e["a"], e["box"], e["id"]))
            if e_in and e_in.time is None:
                e_in.low, e_in.time = e_in.low + 1, e["t1"]
    return expected


def count_messages(events, finals):
    """P1 and P2: every acknowledged message once, no deleted one, nothing invented."""
    wrong = []
    expected = seen_by_keeper(events, expectations(events, finals))
    found = defaultdict(int)
    for account, final in finals.items():
        for box, rows in final.boxes.items():
            for identity, _ in rows.values():
                found[account, box, identity] += 1
    for key, want in expected.items():
        have = found.pop(key, 0)
        if have < want.low:
            wrong.append(("P1", want.time, "lost: %s in %s of %s" % (key[2], key[1], key[0])))
        if have > max(0, want.high):
            wrong.append(("P2", want.time, "%d times instead of %d: %s in %s of %s" % (
                have, max(0, want.high), key[2], key[1], key[0])))
    wrong += [("P2", None, "nobody sent %s, which is in %s of %s" % (key[2], key[1], key[0])) for key in found]
    return wrong


def check_flags(events, finals):
    """P1: a flag that was acknowledged as set or removed is, unless a later change of it is in doubt."""
    last, wrong = {}, []
    for e in events:
        if e["k"] == "flag":
            last[e["a"], e["box"], e["uid"], e["flag"]] = e
    for (account, box, uid, flag), e in last.items():
        row = finals[account].boxes[box].get(uid)
        if row and e["ok"] and (flag in row[1]) != e["on"]:
            wrong.append(("P1", e["t1"], "%s %s UID %d: %s is %s" % (account, box, uid, flag, "gone" if e["on"] else "back")))
    return wrong


def sightings(events, finals):
    """Every (account, mailbox, uid, id, time) anybody was told of."""
    for e in events:
        if e["k"] in ("append", "notice", "flag", "copy", "move", "expunge") and e.get("uid") and (e["ok"] or e["k"] != "append"):
            yield e["a"], e["box"], e["uid"], e["id"], e["t1"]
        if e["k"] in ("copy", "move") and e.get("uid2"):
            yield e["a"], ARCHIVE, e["uid2"], e["id"], e["t1"]
        if e["k"] == "look":
            for uid, identity in e["seen"]:
                yield e["a"], e["box"], uid, identity, e["t1"]
    for account, final in finals.items():
        for box, rows in final.boxes.items():
            for uid, (identity, _) in rows.items():
                yield account, box, uid, identity, None


def check_uids(events, finals):
    """P3: a UID names one message for ever."""
    names, wrong = {}, []
    for account, box, uid, identity, at in sightings(events, finals):
        old = names.setdefault((account, box, uid), identity)
        if old != identity:
            wrong.append(("P3", at, "%s %s UID %d was %s, is %s" % (account, box, uid, old, identity)))
    return wrong


def check_order(events):
    """P3: what one session was told is not undone for another that asks later: UIDNEXT, HIGHESTMODSEQ and UIDVALIDITY, and a new
    UID is above all that were known."""
    wrong, marks = [], defaultdict(list)  # (account, box, what): [(time known, value)]
    for e in events:
        if e["k"] == "look":
            for what in ("uidnext", "modseq", "validity"):
                if e[what] is not None:
                    marks[e["a"], e["box"], what].append((e["t0"], e["t1"], e[what]))
        elif e["k"] == "append" and e["ok"] and e.get("uid"):
            marks[e["a"], e["box"], "uidnext"].append((e["t0"], e["t1"], e["uid"] + 1))
        elif e["k"] in ("copy", "move") and e["ok"] and e.get("uid2"):
            marks[e["a"], ARCHIVE, "uidnext"].append((e["t0"], e["t1"], e["uid2"] + 1))
    for (account, box, what), rows in marks.items():
        known = sorted((t1, value) for _, t1, value in rows)
        times, best = [t for t, _ in known], []
        for _, value in known:
            best.append(max(value, best[-1]) if best else value)
        for begun, ended, value in rows:
            before = bisect.bisect_left(times, begun) - 1
            if before >= 0 and value < best[before]:
                wrong.append(("P3", ended, "%s %s: %s went back from %d to %d" % (account, box, what, best[before], value)))
    return wrong


def check_deleted(events):
    """P1: what was acknowledged as expunged or moved away is seen by nobody who asks later."""
    gone, wrong = {}, []
    for e in events:
        if e["k"] in ("move", "expunge") and e["ok"]:
            gone[e["a"], e["box"], e["uid"]] = e["t1"]
    for e in events:
        if e["k"] == "look":
            for uid, identity in e["seen"]:
                if gone.get((e["a"], e["box"], uid), e["t0"]) < e["t0"]:
                    wrong.append(("P1", e["t1"], "%s %s UID %d (%s) is back" % (e["a"], e["box"], uid, identity)))
    return wrong


def check_drops(events, finals):
    """POP3: what was acknowledged is still there or was taken; taken is taken; nothing is given out under two names."""
    wrong, taken, doubtful, names = [], {}, set(), defaultdict(set)
    accounts = {account for account in finals}
    for e in events:
        if e["k"] == "retrieve":
            names[e["a"], e["id"]].add(e["uidl"])
        elif e["k"] == "quit":
            for uidl, identity in e["taken"]:
                if e["ok"]:
                    taken[e["a"], uidl] = (e["t1"], identity)
                else:
                    doubtful.add((e["a"], identity))
    for e in events:
        if e["k"] == "drop":
            for uidl in e["uidls"]:
                if taken.get((e["a"], uidl), (e["t0"], None))[0] < e["t0"]:
                    wrong.append(("P1", e["t1"], "%s: the deleted %s is back" % (e["a"], uidl)))
    for key, uidls in names.items():
        if len(uidls) > 1:
            wrong.append(("P2", None, "%s: %s was given out as %s" % (key + (sorted(uidls),))))
    done = {(account, identity) for (account, _), (_, identity) in taken.items()}
    for e in events:
        if e["k"] == "deliver" and e["ok"]:
            for account in accounts.intersection(e["to"]):
                there = sum(identity == e["id"] for identity, _ in finals[account].boxes["INBOX"].values())
                key = account, e["id"]
                if there > (0 if key in done else 1):
                    wrong.append(("P2", e["t1"], "%s: %s is there %d times" % (account, e["id"], there)))
                if there == 0 and key not in done and key not in doubtful:
                    wrong.append(("P1", e["t1"], "lost: %s of %s" % (e["id"], account)))
    return wrong


def check_quota(programs, finals):
    """P5: what is counted of an account is what is there."""
    wrong = []
    for account, final in finals.items():
        shown = json.loads(programs.ctl("user", "show", account, "--json").stdout)
        if (shown["used_bytes"], shown["messages"]) != (final.size, final.messages):
            wrong.append(("P5", None, "%s: %d octets in %d messages are counted as %d in %d" % (
                account, final.size, final.messages, shown["used_bytes"], shown["messages"])))
    return wrong


def check_copies(programs, partitions):
    """P3: all members of a partition hold the same, every row and body of it."""
    wrong = []
    for number in range(partitions):
        for _ in range(COPIES_TRIES):  # one that just came back may not answer
            done = programs.ctl("partition", "check", str(number), timeout=COPIES_MAX)
            if done.returncode == 0:
                break
            time.sleep(1.0)
        else:
            wrong.append(("P3", None, "partition %d: %s" % (number, (done.stdout + done.stderr).strip())))
    return wrong


def judge(events, mail, pop):
    """All violations. `mail` and `pop`: {account: Final}."""
    wrong = [("P3" if "stale" in e["text"] else "P5", e["t1"], e["text"]) for e in events if e["k"] == "bad"]
    for final in (*mail.values(), *pop.values()):
        wrong += final.problems
    wrong += count_messages(events, mail) + check_flags(events, mail) + check_uids(events, {**mail, **pop})
    return wrong + check_order(events) + check_deleted(events) + check_drops(events, pop)
