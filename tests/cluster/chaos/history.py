# SPDX-License-Identifier: Apache-2.0
"""What was asked and what was answered: one JSON object a line, with the times (CLOCK_MONOTONIC) of asking and answering. And the
messages, whose every byte follows from their id, so that a copy can be judged by itself.

Kinds ("k"), each with "t0", "t1", account "a" where there is one, and "ok" (true: acknowledged; false: refused or unknown):
  deliver  id, to: accounts, how          append   id, box, uid if told       flag     box, uid, add or remove
  move     box, uid, id, uid2 if told     copy     the same                   expunge  box, uid, id
  look     box, validity, uidnext, modseq, messages, seen: [[uid, id]...]     notice   box, uid, id: an idle session was told
  retrieve id, uidl                       quit     uidls that were deleted
  bad      text: something that must never be seen, found on the way"""
import hashlib
import json
import random
import threading
import time

HEADER_END = b"\r\n\r\n"


def message(identity):
    """The message with this id: 0.3 to 12 KiB, one in forty 400 KiB (more than a chunk of a body)."""
    seed = random.Random(identity)
    size = 400000 if seed.random() < 0.025 else int(300 * 40 ** seed.random())
    line = hashlib.sha256(identity.encode()).hexdigest() + "\r\n"
    text = (line * (size // len(line) + 1)).encode()
    return (b"From: sender@elsewhere.test\r\nTo: someone@example.test\r\nSubject: %s\r\nMessage-ID: <%s@chaos.test>\r\n\r\n"
            % (identity.encode(), identity.encode())) + text


def is_whole(identity, received):
    """Trace fields may stand in front, nothing else may differ."""
    return received.endswith(message(identity))


def identity_of(received):
    """The id in a message's header, or None."""
    head = received[:received.find(HEADER_END)] if HEADER_END in received else received
    for line in head.split(b"\r\n"):
        if line.startswith(b"Subject: "):
            return line[9:].decode("ascii", "replace")
    return None


class History:
    """A file that many threads write."""

    def __init__(self, path):
        self.out, self.lock = open(path, "a"), threading.Lock()

    def add(self, kind, begun, **what):
        what.update(k=kind, t0=round(begun, 4), t1=round(time.monotonic(), 4))
        line = json.dumps(what, separators=(",", ":")) + "\n"
        with self.lock:
            self.out.write(line)

    def bad(self, text):
        self.add("bad", time.monotonic(), text=text)

    def close(self):
        with self.lock:
            self.out.close()


def read(path):
    with open(path) as lines:
        return [json.loads(line) for line in lines]
