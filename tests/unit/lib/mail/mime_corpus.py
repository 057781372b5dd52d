#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare lib/mail's view of real messages with that of Python's email package.

usage: mime_corpus.py MIME_DUMP [FOLDER or FILE...]

Without folders: Python's own email test data, and what Debian packages with mail in them have installed. Messages are
read with CRLF line ends. Where Python reports a defect its tree is a guess like ours, and only what must always hold is
checked; the rest must agree part by part: type, transfer encoding, charset and the very bytes of every leaf.
"""
import email
import email.header
import email.policy
import email.utils
import glob
import os
import re
import subprocess
import sys

PACKAGED = [
    "/usr/share/doc/spamassassin/examples/sample-*",
    "/usr/share/gocode/src/github.com/jhillyerd/enmime/**/*.raw",
    "/usr/share/gocode/src/github.com/jhillyerd/enmime/**/*.eml",
    "/usr/lib/python3/dist-packages/mailman/**/data/*.eml",
    "/usr/lib/python3/dist-packages/mailman/**/data/*.txt",
    "/usr/share/doc/**/*.eml",
]


def default_files():
    found = []
    try:
        import test.test_email
        found += glob.glob(os.path.join(os.path.dirname(test.test_email.__file__), "data", "*.txt"))
    except ImportError:
        found += glob.glob("/usr/lib/python3*/test/test_email/data/*.txt")
    for pattern in PACKAGED:
        found += glob.glob(pattern, recursive=True)
    return sorted({f for f in found if os.path.isfile(f) and not f.endswith(".gz")})


def read(path):
    data = open(path, "rb").read()
    return re.sub(rb"(?<!\r)\n", b"\r\n", data)


class Part:
    def __init__(self, words):
        self.depth, self.kind = int(words[0]), int(words[1])
        self.type = words[2].lower()
        self.header, self.header_len, self.body_len, self.lines = map(int, words[3:7])
        self.encoding, self.charset = words[7], words[8]
        self.children = []

    @property
    def body(self):
        return self.header + self.header_len


def parse_dump(text):
    """[(path, size, root part, envelope)]"""
    result = []
    for line in text.split("\n"):
        if line.startswith("FILE "):
            path, size, _, flags = line[5:].rsplit(" ", 3)
            result.append({"path": path, "size": int(size), "flags": int(flags, 16), "stack": []})
        elif line.startswith("ENVELOPE "):
            result[-1]["envelope"] = line[9:]
        elif line.startswith("STRUCTURE "):
            result[-1]["structure"] = line[10:]
        elif line.startswith("PART "):
            part = Part(re.match(r"(\S+) (\S+) (.*?/.*?) (\d+) (\d+) (\d+) (\d+) (\S+) (.*)$", line[5:]).groups())
            stack = result[-1]["stack"]
            del stack[part.depth:]
            if stack:
                stack[-1].children.append(part)
            else:
                result[-1]["root"] = part
            stack.append(part)
    return result


def check_invariants(part, data, end):
    """What holds for any message at all."""
    stop = part.body + part.body_len
    assert 0 <= part.header <= part.body <= stop <= end, "ranges of %s" % part.type
    assert part.lines == data[part.body:stop].count(b"\n"), "lines of %s" % part.type
    at = part.body
    for child in part.children:
        assert child.header >= at, "children overlap"
        check_invariants(child, data, stop)
        at = child.body + child.body_len


def defects(message):
    return [d for p in message.walk() for d in p.defects]


def is_ambiguous(message, data):
    """Mail that is against RFC 2046 without a defect in Python's eyes: a delimiter right behind another one, or one of an
    outer multipart inside an inner part. Python joins the former and passes over the latter; like most servers we do
    not."""
    for part in message.walk():
        boundary = part.get_boundary()
        if boundary is None:
            continue
        mark = b"--" + boundary.encode("ascii", "surrogateescape")
        if re.search(re.escape(mark) + rb"[ \t]*\r\n" + re.escape(mark), data):
            return True
        for leaf in part.walk():
            if not leaf.is_multipart():
                payload = leaf._payload.encode("utf-8", "surrogateescape")
                if re.search(rb"(?m)^" + re.escape(mark), payload):
                    return True
    return False


def compare(part, message, data):
    """Part by part with Python's tree."""
    wanted = message.get_content_type().split()[0]  # it keeps "application/pdf name=x" without semicolon whole
    assert part.type == wanted, "type %s, Python says %s" % (part.type, wanted)
    encoding = message.get("content-transfer-encoding")
    if encoding is not None and re.fullmatch(r"[\w-]+", str(encoding).strip()):
        assert part.encoding == str(encoding).strip(), "encoding"
    if wanted.startswith("message/") and wanted not in ("message/rfc822", "message/global"):
        return  # Python parses some of these; for IMAP they are leaves
    if message.is_multipart():
        children = message.get_payload()
        assert len(part.children) == len(children), "%d parts, Python has %d" % (len(part.children), len(children))
        for ours, theirs in zip(part.children, children):
            compare(ours, theirs, data)
        return
    assert not part.children, "parts where Python has none"
    payload = message._payload.encode("ascii", "surrogateescape")  # get_payload would decode charsets
    ours = data[part.body:part.body + part.body_len]
    assert ours == payload, "body %r, Python has %r" % (ours[:60], payload[:60])


def nstrings(text):
    """All strings of an IMAP response, in order."""
    out, i = [], 0
    text = re.sub(r"\\x(..)", lambda m: chr(int(m.group(1), 16)), text)
    while i < len(text):
        if text[i] == '"':
            i, word = i + 1, ""
            while text[i] != '"':
                i += text[i] == "\\"
                word += text[i]
                i += 1
            out.append(word)
        elif text[i] == "{":
            size, rest = re.match(r"\{(\d+)\}\r\n()", text[i:]).groups()
            start = text.index("\n", i) + 1
            out.append(text[start:start + int(size)])
            i = start + int(size) - 1
        elif text.startswith("NIL", i):
            out.append(None)
            i += 2
        i += 1
    return out


def compare_envelope(found, message):
    status, text = found["envelope"].split(" ", 1)
    assert status == "OK", "envelope " + status
    strings = nstrings(text)
    def plain(name):
        value = message.get(name)
        return None if value is None else re.sub(r"[\r\n]", "", str(value)).strip()
    if all(ord(c) < 128 for c in str(message.get("subject", ""))):
        assert strings[1] == plain("subject"), "subject %r, Python says %r" % (strings[1], plain("subject"))
    if all(ord(c) < 128 for c in str(message.get("message-id", ""))):
        assert strings[-1] == plain("message-id"), "message id %r" % strings[-1]


def check(found):
    data = read(found["path"])
    assert len(data) == found["size"], "size"
    assert found["structure"].startswith("OK "), "structure " + found["structure"][:20]
    check_invariants(found["root"], data, len(data))
    message = email.message_from_bytes(data, policy=email.policy.compat32)
    if defects(message):
        return "defects"
    if is_ambiguous(message, data):
        return "ambiguous"
    compare(found["root"], message, data)
    compare_envelope(found, message)
    return "equal"


def main():
    files = []
    for arg in sys.argv[2:]:
        files += [os.path.join(d, f) for d, _, fs in os.walk(arg) for f in fs] if os.path.isdir(arg) else [arg]
    files = files or default_files()
    if not files:
        print("no mail found: install libpython3-testsuite")
        return 77
    counts = {"equal": 0, "defects": 0, "ambiguous": 0, "wrong": 0}
    dump = subprocess.run([sys.argv[1]] + files, stdout=subprocess.PIPE, check=True)
    for found in parse_dump(dump.stdout.decode("latin-1")):
        try:
            counts[check(found)] += 1
        except AssertionError as e:
            counts["wrong"] += 1
            print("%s: %s" % (found["path"], e))
    print("%d messages: %s" % (len(files), counts))
    return 1 if counts["wrong"] or not counts["equal"] else 0


sys.exit(main())
