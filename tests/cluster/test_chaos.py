# SPDX-License-Identifier: Apache-2.0
"""The short form of chaos.py: a cluster on hosts of its own loses a node, a link and a front-end while mail flows; and the judge of
its histories finds what it is there to find."""
import os
import re
import subprocess
import sys

import pytest

from chaos import check, faults, history

HERE = os.path.dirname(os.path.abspath(__file__))
FAULTS = "kill-storage,cut-one-way,kill-frontend"
SEED = 7


def can_have_hosts():
    """Namespaces and loop devices need root."""
    done = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "ip", "link", "add", "try", "type", "bridge"],
                          capture_output=True)
    return done.returncode == 0 and os.path.exists("/dev/loop-control")


def test_short(build):
    if not can_have_hosts():
        pytest.skip("no namespaces here")
    done = subprocess.run([sys.executable, "-B", os.path.join(HERE, "chaos.py"), "--build", os.path.abspath(build), "--minutes", "0.4",
                           "--pace", "0.3", "--seed", str(SEED), "--faults", FAULTS], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    assert re.search(r"^0 violations$", done.stdout, re.M)
    print(done.stdout)


def final(account, inbox, archive=None):
    """What check.Final would have read."""
    made = check.Final.__new__(check.Final)
    made.account, made.problems = account, []
    made.boxes = {"INBOX": inbox, check.ARCHIVE: archive or {}}
    return made


def deliver(identity, ok, at):
    return {"k": "deliver", "to": ["a"], "id": identity, "ok": ok, "t0": at, "t1": at + 1}


def change(kind, uid, identity, ok, at, **more):
    return dict({"k": kind, "a": "a", "box": "INBOX", "uid": uid, "id": identity, "ok": ok, "t0": at, "t1": at + 1}, **more)


def look(at, uidnext, seen, modseq=5):
    return {"k": "look", "a": "a", "box": "INBOX", "t0": at, "t1": at + 1, "validity": 1, "uidnext": uidnext, "modseq": modseq,
            "messages": len(seen), "seen": seen, "ok": True}


@pytest.mark.parametrize("events,inbox,archive,promises", [
    ([deliver("x", True, 0)], {1: ("x", set())}, {}, []),
    ([deliver("x", True, 0)], {}, {}, ["P1"]),  # lost
    ([deliver("x", True, 0)], {1: ("x", set()), 2: ("x", set())}, {}, ["P2"]),  # doubled
    ([deliver("x", False, 0)], {1: ("x", set())}, {}, []),  # in doubt: there or not
    ([deliver("x", False, 0)], {}, {}, []),
    ([deliver("x", False, 0)], {1: ("x", set()), 2: ("x", set())}, {}, ["P2"]),
    ([], {1: ("y", set())}, {}, ["P2"]),  # invented
    ([deliver("x", True, 0), change("move", 1, "x", True, 2)], {}, {7: ("x", set())}, []),
    ([deliver("x", True, 0), change("move", 1, "x", True, 2)], {1: ("x", set())}, {}, ["P1", "P2"]),
    ([deliver("x", True, 0), change("move", 1, "x", False, 2)], {1: ("x", set())}, {}, []),
    ([deliver("x", True, 0), change("move", 1, "x", False, 2)], {}, {7: ("x", set())}, []),
    ([deliver("x", True, 0), change("copy", 1, "x", True, 2)], {1: ("x", set())}, {}, ["P1"]),
    ([deliver("x", True, 0), change("expunge", 1, "x", True, 2)], {1: ("x", set())}, {}, ["P2"]),
    ([deliver("x", False, 0), change("expunge", 1, "x", True, 2)], {}, {}, []),
    ([deliver("x", False, 0), change("expunge", 1, "x", True, 2)], {1: ("x", set())}, {}, ["P2"]),
    ([deliver("x", True, 0), change("flag", 1, "x", True, 2, flag="$Work", on=True)], {1: ("x", set())}, {}, ["P1"]),
    ([deliver("x", True, 0), change("flag", 1, "x", False, 2, flag="$Work", on=True)], {1: ("x", set())}, {}, []),
    ([deliver("x", True, 0), look(2, 2, [[1, "z"]])], {1: ("x", set())}, {}, ["P3"]),  # one UID, two messages
    ([look(0, 9, []), look(2, 8, [])], {}, {}, ["P3"]),  # UIDNEXT went back
    ([look(0, 9, []), look(0.5, 8, [])], {}, {}, []),  # at the same moment: either order
    ([look(0, 9, [], modseq=7), look(2, 9, [], modseq=6)], {}, {}, ["P3"]),
    ([deliver("x", True, 0), change("expunge", 1, "x", True, 2), look(5, 2, [[1, "x"]])], {}, {}, ["P1"]),
])
def test_judge(events, inbox, archive, promises):
    wrong = check.judge(events, {"a": final("a", inbox, archive)}, {})
    assert sorted(promise for promise, _, _ in wrong) == sorted(promises), wrong


def drop(at, uidls):
    return {"k": "drop", "a": "a", "uidls": uidls, "t0": at, "t1": at}


def leave(at, ok, *taken):
    return {"k": "quit", "a": "a", "taken": taken, "ok": ok, "t0": at, "t1": at + 1}


@pytest.mark.parametrize("events,inbox,promises", [
    ([deliver("x", True, 0)], {1: ("x", set())}, []),
    ([deliver("x", True, 0)], {}, ["P1"]),
    ([deliver("x", True, 0), leave(2, True, ("1.1", "x"))], {}, []),
    ([deliver("x", True, 0), leave(2, False, ("1.1", "x"))], {}, []),
    ([deliver("x", True, 0), leave(2, True, ("1.1", "x"))], {1: ("x", set())}, ["P2"]),
    ([deliver("x", True, 0), leave(2, True, ("1.1", "x")), drop(5, ["1.1"])], {}, ["P1"]),
])
def test_judge_pop(events, inbox, promises):
    wrong = check.judge(events, {}, {"a": final("a", inbox)})
    assert [promise for promise, _, _ in wrong] == promises, wrong


class Copies:
    """A ternctl to which the copies of some partitions differ, or some number of times do not answer."""

    def __init__(self, different, silent):
        self.different, self.silent = different, silent

    def ctl(self, noun, verb, number, timeout):
        self.silent -= 1
        bad = int(number) in self.different or self.silent >= 0
        return subprocess.CompletedProcess((noun, verb, number), int(bad), "copies differ" if bad else "", "")


@pytest.mark.parametrize("different,silent,wrong", [((), 0, 0), ((), 2, 0), ((1, 2), 0, 2)])
def test_judge_copies(monkeypatch, different, silent, wrong):
    monkeypatch.setattr(check.time, "sleep", lambda seconds: None)
    assert [promise for promise, _, _ in check.check_copies(Copies(different, silent), 4)] == ["P3"] * wrong


def test_kinds_have_names_of_their_own():
    names = [kind.name for kind in faults.KINDS]
    assert sorted(set(names)) == sorted(names)


def test_messages():
    body = history.message("smtp1.5")
    assert history.message("smtp1.5") == body and history.identity_of(body) == "smtp1.5"
    assert history.is_whole("smtp1.5", b"Received: x\r\n" + body)
    assert not history.is_whole("smtp1.5", body[:-1]) and not history.is_whole("smtp1.6", body)
