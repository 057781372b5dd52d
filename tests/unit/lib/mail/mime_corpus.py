#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare lib/mail's view of real messages with that of Python's email package.

usage: mime_corpus.py MIME_DUMP [--generate COUNT [SEED]] [FOLDER or FILE...]

Without folders: Python's own email test data, and what Debian packages with mail in them have installed. Messages are
read with CRLF line ends. Where Python reports a defect its tree is a guess like ours, and only what must always hold is
checked; the rest must agree part by part: type, transfer encoding, charset and the very bytes of every leaf.

With --generate, messages made at random by Python's email package are compared as well; a third of them have lines
taken out, doubled or cut.
"""
import email
import email.encoders
import email.header
import email.mime.base
import email.mime.message
import email.mime.multipart
import email.mime.text
import email.policy
import email.utils
import glob
import os
import random
import re
import subprocess
import sys
import tempfile

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
    charset = message.get_param("charset")
    if isinstance(charset, str) and re.fullmatch(r"[\w-]+", charset):
        assert part.charset == charset, "charset %s, Python says %s" % (part.charset, charset)
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


def parse_list(text):
    """An IMAP parenthesised list as nested Python lists; NIL is None, numbers stay strings."""
    text = re.sub(r"\\x(..)", lambda m: chr(int(m.group(1), 16)), text)
    stack, i = [[]], 0
    while i < len(text):
        literal = re.compile(r"\{(\d+)\}\r\n").match(text, i)
        quoted = re.compile(r'"((?:[^"\\]|\\.)*)"').match(text, i)
        atom = re.compile(r"[^ ()]+").match(text, i)
        if literal:
            stack[-1].append(text[literal.end():literal.end() + int(literal.group(1))])
            i = literal.end() + int(literal.group(1))
        elif quoted:
            stack[-1].append(re.sub(r"\\(.)", r"\1", quoted.group(1)))
            i = quoted.end()
        elif text[i] == "(":
            stack.append([])
            i += 1
        elif text[i] == ")":
            done = stack.pop()
            stack[-1].append(done)
            i += 1
        elif atom:
            stack[-1].append(None if atom.group() == "NIL" else atom.group())
            i = atom.end()
        else:
            i += 1
    assert len(stack) == 1, "parentheses"
    return stack[0][0]


def unfolded(message, name):
    value = message.get(name)
    return None if value is None else re.sub(r"[\r\n]", "", str(value)).strip()


def is_ascii(message, name):
    return all(ord(c) < 128 for v in message.get_all(name, []) for c in str(v))


def compare_addresses(ours, message, name):
    """Addresses where both sides read the same grammar: no groups, comments, routes or obsolete blanks."""
    values = [str(v) for v in message.get_all(name, [])]
    if not is_ascii(message, name) or re.search(r"[:;()\\]|=\?|@[^,>]*@", " ".join(values)):
        return
    theirs = [a for _, a in email.utils.getaddresses(values)]
    if any(not re.fullmatch(r"[\w.+-]+@[\w.-]+", a) for a in theirs):
        return
    mine = ["%s@%s" % (a[2], a[3]) for a in ours or []]
    assert mine == theirs, "%s %r, Python says %r" % (name, mine, theirs)


def compare_envelope(found, message):
    status, text = found["envelope"].split(" ", 1)
    assert status == "OK", "envelope " + status
    envelope = parse_list(text)
    for name, at in (("date", 0), ("subject", 1), ("in-reply-to", 8), ("message-id", 9)):
        if is_ascii(message, name):
            wanted = unfolded(message, name)
            assert envelope[at] == wanted, "%s %r, Python says %r" % (name, envelope[at], wanted)
    for name, at in (("from", 2), ("to", 5), ("cc", 6), ("bcc", 7)):
        compare_addresses(envelope[at], message, name)


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


CHARSETS = ["us-ascii", "utf-8", "iso-8859-1", "iso-8859-15", "koi8-r", "windows-1251", "gb2312", "big5", "euc-kr",
            "iso-2022-jp", "shift_jis", "windows-1252"]
WORDS = ["caf\u00e9", "\u043f\u0440\u0438\u0432\u0435\u0442", "\u4f60\u597d", "\u3042", "hello", "\U0001f600", "na\u00efve", "-- ", "--", "From x"]


def random_text(rng, charset):
    text = "\r\n".join(" ".join(rng.choices(WORDS, k=rng.randrange(9))) for _ in range(rng.randrange(8)))
    return text.encode(charset, "replace").decode(charset, "replace")


def random_part(rng, depth):
    """A message or part as Python's legacy classes make it."""
    kind = rng.randrange(8 if depth < 6 else 4)
    if kind < 2:
        charset = rng.choice(CHARSETS)
        part = email.mime.text.MIMEText(random_text(rng, charset), rng.choice(["plain", "html"]), charset)
    elif kind < 4:
        part = email.mime.base.MIMEBase("application", rng.choice(["octet-stream", "pdf"]))
        part.set_payload(rng.randbytes(rng.randrange(300)))
        rng.choice([email.encoders.encode_base64, email.encoders.encode_quopri])(part)
        part.add_header("Content-Disposition", "attachment",
                        filename=rng.choice(["a.pdf", ("utf-8", "", "\u4f60\u597d.pdf"), "a b;c.pdf"]))
    elif kind < 5:
        part = email.mime.message.MIMEMessage(random_part(rng, depth + 1))
        part.get_payload(0)["Subject"] = email.header.Header(rng.choice(WORDS), "utf-8")
    else:
        part = email.mime.multipart.MIMEMultipart(rng.choice(["mixed", "alternative", "related", "signed"]))
        for _ in range(rng.randrange(1, 4)):
            part.attach(random_part(rng, depth + 1))
    return part


def damage(rng, data):
    lines = data.split(b"\r\n")
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(lines))
        if rng.random() < 0.5:
            del lines[at]
        elif rng.random() < 0.5:
            lines.insert(at, rng.choice(lines))
        elif lines[at]:
            lines[at] = lines[at][:rng.randrange(len(lines[at]))]
        lines = lines or [b""]
    return b"\r\n".join(lines)


def generate(count, seed, folder):
    files = []
    for i in range(count):
        rng = random.Random("%s.%d" % (seed, i))
        message = random_part(rng, 0)
        message["From"] = rng.choice(["a@example.org", "A B <a@example.org>", '"x, y" <b@example.org>'])
        message["Message-ID"] = "<%d@example.org>" % i
        data = message.as_bytes(policy=email.policy.compat32.clone(linesep="\r\n"))
        if i % 3 == 2:
            data = damage(rng, data)
        files.append(os.path.join(folder, "generated-%s.%d" % (seed, i)))
        open(files[-1], "wb").write(data)
    return files


def main():
    with tempfile.TemporaryDirectory() as folder:
        return run(sys.argv[2:], folder)


def run(args, folder):
    files = []
    if args[:1] == ["--generate"]:
        count, args = int(args[1]), args[2:]
        seed = args.pop(0) if args and args[0].isdigit() else "1"
        files = default_files() + generate(count, seed, folder)
    for arg in args:
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
