# SPDX-License-Identifier: Apache-2.0
"""Real and generated mail goes in by DATA, BDAT and APPEND and comes out of IMAP and POP3 byte for byte; ENVELOPE and BODYSTRUCTURE say
what Python's email package says."""
import email
import email.policy
import email.utils
import os
import re

import pytest

import corpus
import wire

GENERATED, SEED = 90, "tern"
DEPTH_SHOWN = 98  # deeper parts may be shown as leaves
TRACE = re.compile(rb"Return-Path: <[^>\r]*>\r\nReceived: [^\r]*\r\n(?:\t[^\r]*\r\n)+")


def without_trace(data):
    match = TRACE.match(data)
    assert match, "no trace header: %r" % data[:200]
    return data[match.end():]


def ended(data):
    """As a protocol that sends lines has it."""
    return data if data.endswith(b"\r\n") else data + b"\r\n"


def load(cluster, messages):
    """A user who got each message by DATA, by BDAT and by APPEND, in this order."""
    user = cluster.add_user()
    with wire.Smtp(cluster) as smtp, wire.Imap(cluster, user) as imap:
        for name, data in messages:
            for send in (smtp.data, smtp.bdat):
                smtp.envelope([user])
                answer = send(data)
                assert answer.startswith("250"), "%s: %s" % (name, answer)
            imap.append("Archive", data)
    return user


def check_bytes(cluster, user, messages):
    with wire.Imap(cluster, user, select="INBOX") as imap:
        for at, (name, data) in enumerate(messages):
            for number, wanted in ((2 * at + 1, ended(data)), (2 * at + 2, data)):
                got = imap.fetch(number, "(RFC822.SIZE BODY.PEEK[])")[number]
                assert without_trace(got["BODY[]"]) == wanted, name
                assert int(got["RFC822.SIZE"]) == len(got["BODY[]"]), name
        imap.command("SELECT Archive")
        for at, (name, data) in enumerate(messages):
            got = imap.fetch(at + 1, "(RFC822.SIZE BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT])")[at + 1]
            assert got["BODY[]"] == data, name
            assert int(got["RFC822.SIZE"]) == len(data), name
            assert got["BODY[HEADER]"] + got["BODY[TEXT]"] == data, name
    with wire.Pop3(cluster, user) as pop:
        for at, (name, data) in enumerate(messages):
            assert without_trace(pop.multiline("RETR %d" % (2 * at + 1))) == ended(data), name
            got = pop.multiline("RETR %d" % (2 * at + 2))
            assert without_trace(got) == ended(data), name
            size = int(pop.command("LIST %d" % (2 * at + 2)).split()[2])
            assert size in (len(got), len(got) - 2), name


# ---- structure

class Part:
    """One body of a BODYSTRUCTURE (RFC 9051 7.5.2)."""

    def __init__(self, value, section=""):
        self.section = section
        self.children = []
        if isinstance(value[0], list):
            count = next(i for i, v in enumerate(value) if not isinstance(v, list))
            self.type = "multipart/" + value[count].decode().lower()
            self.parameters = self.pairs(value[count + 1]) if len(value) > count + 1 else {}  # not in BODY
            prefix = section + "." if section else ""
            self.children = [Part(v, "%s%d" % (prefix, i + 1)) for i, v in enumerate(value[:count])]
            return
        self.section = section or "1"
        self.type = (value[0] + b"/" + value[1]).decode().lower()
        self.parameters = self.pairs(value[2])
        self.encoding, self.size = value[5].decode().lower(), int(value[6])
        self.lines = None
        if self.type in ("message/rfc822", "message/global") and isinstance(value[8], list):
            inner = value[8]
            is_multipart = isinstance(inner[0], list)
            self.children = [Part(inner, self.section if is_multipart else self.section + ".1")]
            self.lines = int(value[9])
        elif self.type.startswith("text/"):
            self.lines = int(value[7])

    @staticmethod
    def pairs(value):
        return {value[i].decode().lower(): value[i + 1] for i in range(0, len(value), 2)} if value else {}

    def leaves(self):
        if not self.children:
            return [self]
        return [leaf for child in self.children for leaf in child.leaves()]


def defects(message):
    return [d for p in message.walk() for d in p.defects]


def is_ambiguous(message, data):
    """Against RFC 2046 without Python noticing: a delimiter right behind another, or an outer one inside an inner part."""
    for part in message.walk():
        boundary = part.get_boundary()
        if boundary is None:
            continue
        if boundary == "":
            return True
        mark = re.escape(b"--" + boundary.encode("ascii", "surrogateescape"))
        if re.search(mark + rb"[ \t]*\r\n" + mark, data):
            return True
        for leaf in part.walk():
            if not leaf.is_multipart() and re.search(rb"(?m)^" + mark, leaf._payload.encode("utf-8", "surrogateescape")):
                return True
    return False


def compare_structure(part, message):
    """Part by part; collects [(part, Python's leaf)]."""
    wanted = message.get_content_type().split()[0]
    if part.section.count(".") >= DEPTH_SHOWN:
        return []
    assert part.type == wanted, "type %s, Python says %s" % (part.type, wanted)
    if wanted.startswith("message/") and wanted not in ("message/rfc822", "message/global"):
        return []  # leaves for IMAP
    if message.is_multipart():
        children = message.get_payload()
        assert len(part.children) == len(children), "%d parts, Python has %d" % (len(part.children), len(children))
        return [leaf for ours, theirs in zip(part.children, children) for leaf in compare_structure(ours, theirs)]
    assert not part.children, "parts where Python has none"
    payload = message._payload.encode("ascii", "surrogateescape")
    assert part.size == len(payload), "%s octets, Python has %d" % (part.size, len(payload))
    if part.lines is not None:
        assert part.lines == payload.count(b"\n"), "lines"
    charset = message.get_param("charset")
    if isinstance(charset, str) and re.fullmatch(r"[\w-]+", charset):
        assert part.parameters.get("charset") == charset.encode(), "charset"
    encoding = message.get("content-transfer-encoding")
    if encoding is not None and re.fullmatch(r"[\w-]+", str(encoding).strip()):
        assert part.encoding == str(encoding).strip().lower(), "encoding"
    return [(part, message)]


def unfolded(message, name):
    value = message.get(name)
    return None if value is None else re.sub(r"[\r\n]", "", str(value)).strip().encode()


def is_ascii(message, name):
    return all(ord(c) < 128 for v in message.get_all(name, []) for c in str(v))


def compare_envelope(envelope, message):
    for name, at in (("date", 0), ("subject", 1), ("in-reply-to", 8), ("message-id", 9)):
        if is_ascii(message, name):
            wanted = unfolded(message, name)
            got = envelope[at]
            assert got == wanted or (not wanted and not got), "%s %r, Python says %r" % (name, got, wanted)
    for name, at in (("from", 2), ("to", 5), ("cc", 6), ("bcc", 7)):
        values = [str(v) for v in message.get_all(name, [])]
        if not is_ascii(message, name) or re.search(r"[:;()\\]|=\?|@[^,>]*@", " ".join(values)):
            continue
        theirs = [a for _, a in email.utils.getaddresses(values)]
        if all(re.fullmatch(r"[\w.+-]+@[\w.-]+", a) for a in theirs):
            assert [(a[2] + b"@" + a[3]).decode() for a in envelope[at] or []] == theirs, name


def check_structure(cluster, user, messages):
    """How many agreed with Python where that is meaningful; every message must give valid data and readable leaves."""
    compared = 0
    with wire.Imap(cluster, user, select="Archive") as imap:
        for at, (name, data) in enumerate(messages):
            number = at + 1
            got = imap.fetch(number, "(ENVELOPE BODYSTRUCTURE BODY)")[number]
            envelope, root = got["ENVELOPE"], Part(got["BODYSTRUCTURE"])
            assert len(envelope) == 10, name
            assert Part(got["BODY"]).type == root.type, name
            leaves = root.leaves()[:50]
            sections = imap.fetch(number, "(%s)" % " ".join("BODY.PEEK[%s]" % leaf.section for leaf in leaves))[number]
            for leaf in leaves:
                if leaf.type.startswith("multipart/"):
                    continue  # without parts
                assert len(sections["BODY[%s]" % leaf.section] or b"") == leaf.size, "%s: part %s" % (name, leaf.section)
            message = email.message_from_bytes(data, policy=email.policy.compat32)
            if defects(message) or is_ambiguous(message, data):
                continue
            try:
                pairs = compare_structure(root, message)
                compare_envelope(envelope, message)
            except AssertionError as error:
                raise AssertionError("%s: %s" % (name, error)) from None
            compared += 1
            for part, theirs in pairs[:50]:
                payload = theirs._payload.encode("ascii", "surrogateescape")
                assert sections.get("BODY[%s]" % part.section, payload) == payload, "%s: part %s" % (name, part.section)
                if part.encoding == "base64" and not theirs.defects:
                    decoded = theirs.get_payload(decode=True)
                    if not theirs.defects:
                        binary = imap.fetch(number, "(BINARY.PEEK[%s] BINARY.SIZE[%s])" % (part.section, part.section))[number]
                        assert binary["BINARY[%s]" % part.section] == decoded, "%s: binary of %s" % (name, part.section)
                        assert int(binary["BINARY.SIZE[%s]" % part.section]) == len(decoded), name
    return compared


@pytest.fixture(scope="module", params=["packaged", "odd", "generated", "charsets"])
def loaded(request, cluster):
    messages = {"packaged": corpus.packaged, "odd": corpus.odd, "generated": lambda: corpus.generated(GENERATED, SEED),
                "charsets": lambda: [(name, data) for name, _, data in corpus.in_charsets()]}[request.param]()
    assert len(messages) > 30, "no packaged mail: install libpython3.11-testsuite"
    assert not any(b"\0" in data for _, data in messages)
    return load(cluster, messages), messages


def test_bytes(cluster, loaded):
    check_bytes(cluster, *loaded)


def test_structure(cluster, loaded):
    assert check_structure(cluster, *loaded) > 10


def test_charsets_are_searched(cluster):
    """Subject, sender, body and file name in every charset are found by what they say."""
    messages = corpus.in_charsets()
    user = cluster.add_user()
    with wire.Imap(cluster, user) as imap:
        for _, _, data in messages:
            imap.append("INBOX", data)
        imap.command("SELECT INBOX")
        wrong = []
        for number, (name, text, _) in enumerate(messages, 1):
            raw = text.encode()
            for key in (b"SUBJECT", b"FROM", b"BODY", b"TEXT"):
                found = imap.command(b"SEARCH CHARSET UTF-8 %s {%d+}\r\n%s" % (key, len(raw), raw))[0].split()[2:]
                if b"%d" % number not in found:
                    wrong.append("%s %s" % (name, key.decode()))
        assert not wrong


def test_large_attachment(cluster, user):
    """40 MiB in base64, in by SMTP and APPEND, out by IMAP (whole and in pieces), BINARY and POP3."""
    attachment = os.urandom(1 << 20) * 30
    body = corpus.base64_lines(attachment)
    data = corpus.MIME + corpus.multipart(b"big", [b"Content-Type: text/plain\r\n\r\nsee attached",
                                                   b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n" + body])
    assert len(data) > 40 << 20
    wire.deliver(cluster, user, data)
    with wire.Imap(cluster, user, timeout=120) as imap:
        imap.append("INBOX", data)
        imap.command("SELECT INBOX")
        assert without_trace(imap.fetch(1, "BODY.PEEK[]")[1]["BODY[]"]) == data
        assert imap.fetch(2, "BODY.PEEK[]")[2]["BODY[]"] == data
        assert imap.fetch(2, "BODY.PEEK[2]<20000000.1000>")[2]["BODY[2]<20000000>"] == body[20000000:20001000]
        assert imap.fetch(2, "BINARY.PEEK[2]")[2]["BINARY[2]"] == attachment
        assert int(imap.fetch(2, "BINARY.SIZE[2]")[2]["BINARY.SIZE[2]"]) == len(attachment)
    with wire.Pop3(cluster, user, timeout=120) as pop:
        assert pop.multiline("RETR 2") == data
        assert without_trace(pop.multiline("TOP 1 0")).endswith(b"\r\n\r\n")


def test_pop3_of_bare_line_ends(cluster, user):
    """What APPEND let in with bare line ends leaves POP3 as lines (RFC 1939 3)."""
    with wire.Imap(cluster, user) as imap:
        imap.append("INBOX", b"Subject: x\n\nbare\n.dot\nend")
    with wire.Pop3(cluster, user) as pop:
        assert pop.multiline("RETR 1") == b"Subject: x\r\n\r\nbare\r\n.dot\r\nend\r\n"
