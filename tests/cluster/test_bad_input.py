# SPDX-License-Identifier: Apache-2.0
"""P8: bad input gets the protocol's own clear error, or a closed connection, and costs only who sent it: after every case the next
client is served, by every protocol."""
import os
import random
import re
import socket
import statistics
import threading
import time

import pytest

import wire
from harness import PASSWORD

MESSAGE = b"From: a@b.test\r\nSubject: hello\r\n\r\nbody\r\n"
PROTOCOLS = {"smtp": rb"220 ", "submission": rb"220 ", "imap": rb"\* OK", "pop3": rb"\+OK"}
TLS_PROTOCOLS = ("submissions", "imaps", "pop3s")


@pytest.fixture(autouse=True)
def next_client_is_served(cluster):
    yield
    assert cluster.frontend.is_running() and cluster.storage.is_running() and cluster.director.is_running()
    for service, greeting in PROTOCOLS.items():
        with wire.Connection(cluster, service, timeout=10) as c:
            assert re.match(greeting, c.line())


def throw(c, data):
    """Send as much as the server takes."""
    try:
        c.send(data)
    except (BrokenPipeError, ConnectionError, socket.timeout):
        pass


# ---- the same for all protocols

@pytest.mark.parametrize("service", list(PROTOCOLS) + list(TLS_PROTOCOLS))
@pytest.mark.parametrize("seed", range(3))
def test_binary_rubbish(cluster, service, seed):
    rubbish = random.Random(seed).randbytes(200000)
    with wire.Connection(cluster, service) as c:
        throw(c, rubbish)
        try:
            c.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        c.read_to_end(4 << 20)


@pytest.mark.parametrize("service", TLS_PROTOCOLS)
def test_rubbish_instead_of_tls(cluster, service):
    for data in (b"GET / HTTP/1.0\r\n\r\n", os.urandom(5000), b"\x16\x03\x01\xff\xff" + bytes(70000), b""):
        with socket.create_connection(("127.0.0.1", cluster.ports[service]), 10) as c:
            try:
                c.sendall(data)
                c.shutdown(socket.SHUT_WR)
                while c.recv(65536):
                    pass
            except OSError:  # closed or reset already
                pass


@pytest.mark.parametrize("service,error", [("smtp", rb"500 5\.5\.2"), ("imap", rb"\S+ (BAD|NO)|\* BYE"), ("pop3", rb"-ERR")])
def test_endless_line(cluster, service, error):
    """20 MB without a line end: an error, or a closed connection."""
    with wire.Connection(cluster, service) as c:
        c.line()
        for _ in range(20):
            throw(c, b"x" * (1 << 20))
        throw(c, b"\r\n")
        try:
            c.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        answer = c.read_to_end()
        assert answer == b"" or re.match(error, answer), answer[:200]


@pytest.mark.parametrize("service", list(PROTOCOLS))
def test_many_wrong_commands(cluster, service):
    """Endless errors end the session."""
    with wire.Connection(cluster, service) as c:
        c.line()
        for i in range(2000):
            throw(c, b"x%d NONSENSE\r\n" % i)
        assert len(c.read_to_end()) < 100000
        assert c.is_closed()


@pytest.mark.parametrize("service", list(PROTOCOLS) + list(TLS_PROTOCOLS))
def test_connect_and_leave(cluster, service):
    """Closed at once, reset at once, many times."""
    for i in range(50):
        c = socket.create_connection(("127.0.0.1", cluster.ports[service]))
        if i % 2:
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        c.close()


@pytest.mark.parametrize("service,dialogue", [
    ("smtp", [b"EHLO client.test\r\n", b"MAIL FROM:<a@b.test>\r\n", b"RCPT TO:<%(user)s>\r\n", b"DATA\r\n", MESSAGE + b".\r\n"]),
    ("imaps", [b'a LOGIN %(user)s "%(password)s"\r\n', b"b SELECT INBOX\r\n", b"c APPEND INBOX {20}\r\n", b"Subject: x\r\n\r\nxxxxxx\r\n",
               b"d FETCH 1:* (FLAGS BODY[])\r\n", b"e IDLE\r\n"]),
    ("pop3s", [b"USER %(user)s\r\n", b"PASS %(password)s\r\n", b"LIST\r\n", b"RETR 1\r\n"]),
])
def test_cut_anywhere(cluster, user, service, dialogue):
    """The connection breaks after each step and in the middle of each, by FIN and by RST."""
    values = {b"user": user.encode(), b"password": PASSWORD.encode()}
    steps = [step % values for step in dialogue]
    for cut in range(1, 2 * len(steps) + 1):
        for reset in (False, True):
            with wire.Connection(cluster, service) as c:
                c.line()
                for i, step in enumerate(steps[:(cut + 1) // 2]):
                    is_half = i == cut // 2 and cut % 2 == 1
                    throw(c, step[:len(step) // 2] if is_half else step)
                    if i < (cut + 1) // 2 - 1:
                        c.fill()
                if reset:
                    c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def test_slow_senders(cluster, user):
    """Bytes one by one on 30 connections: answered in the end, and others are served while all of these are in the middle."""
    dialogues = {
        "smtp": b"EHLO slow.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<" + user.encode() + b">\r\nDATA\r\n" + MESSAGE + b".\r\nQUIT\r\n",
        "imap": b"a CAPABILITY\r\nb NOOP\r\nc LOGIN {4}\r\nuser {4}\r\npass\r\nd LOGOUT\r\n",
        "pop3": b"CAPA\r\nUSER x\r\nQUIT\r\n",
    }
    results, times = [], []
    middle, others_are_served = threading.Barrier(31, timeout=60), threading.Event()

    def crawl(service, text):
        with wire.Connection(cluster, service) as c:
            for i in range(len(text)):
                c.send(text[i:i + 1])
                time.sleep(0.002)
                if i == len(text) // 2:
                    middle.wait()
                    others_are_served.wait(60)
            results.append((service, c.read_to_end()))

    threads = [threading.Thread(target=crawl, args=item) for item in list(dialogues.items()) * 10]
    for thread in threads:
        thread.start()
    middle.wait()
    try:
        for _ in range(20):
            start = time.monotonic()
            with wire.Smtp(cluster) as smtp:
                smtp.command("NOOP")
            times.append(time.monotonic() - start)
    finally:
        others_are_served.set()
        for thread in threads:
            thread.join(60)
    assert statistics.median(times) < 2, times
    assert len(results) == 30
    for service, answer in results:
        assert {"smtp": b"\r\n250 2.0.0 delivered", "imap": b"\r\nd OK", "pop3": b"-ERR"}[service] in answer, answer


def test_client_that_does_not_read(cluster, user):
    """Fetches of 100 MB asked for and never read cost bounded memory and nobody else's time."""
    big = b"Subject: big\r\n\r\n" + (b"x" * 998 + b"\r\n") * 5000
    wire.deliver(cluster, user, big)
    before = memory(cluster.frontend.pid)
    lazy = [wire.Imap(cluster, user, select="INBOX") for _ in range(8)]
    try:
        for imap in lazy:
            imap.send(b"".join(b"f%d FETCH 1 BODY.PEEK[]\r\n" % i for i in range(20)))
        time.sleep(1)
        with wire.Imap(cluster, user, select="INBOX") as imap:
            assert len(imap.fetch("1", "BODY.PEEK[]")[1]["BODY[]"]) > len(big)
        assert memory(cluster.frontend.pid) - before < 100 << 20
    finally:
        for imap in lazy:
            imap.close()


def memory(pid):
    with open("/proc/%d/statm" % pid) as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# ---- SMTP

@pytest.mark.parametrize("lines,answers", [
    (["MAIL FROM:<a@b.test>"], ["503 5.5.1"]),
    (["EHLO x", "RCPT TO:<%s>"], ["250", "503 5.5.1"]),
    (["EHLO x", "DATA"], ["250", "503 5.5.1"]),
    (["EHLO x", "MAIL FROM:<>", "DATA"], ["250", "250", "554 5.5.1"]),
    (["EHLO x", "MAIL FROM:<>", "MAIL FROM:<>"], ["250", "250", "503 5.5.1"]),
    (["EHLO", "EHLO x y"], ["501", "501"]),
    (["HELO x", "MAIL FROM:<a@b> SIZE=1", "STARTTLS x"], ["250", "250", "501"]),
    (["EHLO x", "MAIL FROM: a@b.test", "MAIL", "MAIL TO:<x>", "MAIL FROM:<a@b.test> FOO=1", "MAIL FROM:<a@b.test> SIZE=x",
      "MAIL FROM:<a@b.test> BODY=9BIT"], ["250", "501", "501", "501", "555 5.5.4", "501 5.5.4", "501 5.5.4"]),
    (["EHLO x", "MAIL FROM:<%s@b.test>" % ("x" * 65)], ["250", "501 5.1.7"]),
    (["EHLO x", "MAIL FROM:<a@%s.test>" % ("x" * 300)], ["250", "501 5.1.7"]),
    (["EHLO x", "MAIL FROM:<grün@b.test>"], ["250", "553 5.6.7"]),
    (["EHLO x", "MAIL FROM:<a@b.test>", "RCPT TO:<>", "RCPT TO:<@>", "RCPT TO:<a@b@c>", "RCPT TO:%s", "RCPT TO:<%s> X=Y"],
     ["250", "250", "501 5.1.3", "501 5.1.3", "501 5.1.3", "501 5.1.3", "555 5.5.4"]),
    (["EHLO x", "AUTH PLAIN AGEAYg=="], ["250", "502 5.5.1"]),
    (["EXPN x", "TURN", "", "VRFY"], ["500 5.5.1", "500 5.5.1", "500 5.5.1", "501 5.5.4"]),
    (["EHLO x", "MAIL FROM:<>", "RCPT TO:<%s>", "BDAT 0", "DATA", "MAIL FROM:<>", "RSET", "NOOP"],
     ["250", "250", "250", "250", "503 5.5.1", "503 5.5.1", "250", "250"]),
])
def test_smtp_wrong(cluster, user, lines, answers):
    with wire.Smtp(cluster, ehlo=False) as smtp:
        for line, answer in zip(lines, answers):
            got = smtp.command(line.replace("%s", user))
            assert got.startswith(answer), "%s: %s" % (line, got)


@pytest.mark.parametrize("body,why", [
    (b"bare\nline feed\r\n", "bare CR or LF"), (b"bare\rcarriage return\r\n", "bare CR or LF"),
    (b"a NUL\0 here\r\n", "NUL"), (b"x\r\r\n", "bare CR or LF"), (b"\n", "bare CR or LF")])
@pytest.mark.parametrize("way", ["data", "bdat", "bdat one by one"])
def test_smtp_refuses_bare_line_ends_and_nul(cluster, user, body, why, way):
    text = b"Subject: x\r\n\r\n" + body
    with wire.Smtp(cluster) as smtp:
        smtp.envelope([user])
        answer = smtp.data(text) if way == "data" else smtp.bdat(text, 1 if "one" in way else 100000)
        assert answer.startswith("550 5.6.0") and why in answer, answer
        smtp.command("RSET")
        smtp.envelope([user])
        assert smtp.data(MESSAGE).startswith("250")
    with wire.Imap(cluster, user) as imap:
        assert imap.exists() == 1


@pytest.mark.parametrize("end", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r", b"\r\n\0.\r\n"])
def test_smtp_smuggling(cluster, user, end):
    """Only CRLF.CRLF ends a message: what looks like a second one is a part of the first, which is refused."""
    with wire.Smtp(cluster) as smtp:
        smtp.envelope([user])
        assert smtp.command("DATA").startswith("354")
        smtp.send(b"Subject: first\r\n\r\nbody" + end + b"MAIL FROM:<evil@b.test>\r\nRCPT TO:<" + user.encode() +
                  b">\r\nDATA\r\nSubject: smuggled\r\n\r\nbody\r\n.\r\n")
        assert smtp.reply().startswith("550 5.6.0")
        assert smtp.command("NOOP").startswith("250 2.0.0")
    with wire.Imap(cluster, user) as imap:
        assert imap.exists() == 0


def test_smtp_bdat_wrong(cluster, user):
    for argument in ("", "x", "-1", "5 FIRST", "99999999999999999999 LAST", "1 LAST x"):
        with wire.Smtp(cluster) as smtp:
            smtp.envelope([user])
            assert smtp.command("BDAT " + argument).startswith("501") and smtp.is_closed(), argument
    with wire.Smtp(cluster) as smtp:
        smtp.send(b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")  # without a transaction: the chunk is eaten, not run
        assert smtp.reply().startswith("503")
        assert smtp.reply().startswith("250")
    with wire.Smtp(cluster) as smtp:  # 4 GiB announced
        smtp.envelope([user])
        assert smtp.command("BDAT 4294967296 LAST").startswith("552") and smtp.is_closed()


def test_smtp_pipelining(cluster, user):
    """Everything at once, answers in order; a wrong recipient among them."""
    with wire.Smtp(cluster) as smtp:
        smtp.send(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<nobody@example.test>\r\nRCPT TO:<" + user.encode() + b">\r\nDATA\r\n")
        assert [smtp.reply()[:3] for _ in range(4)] == ["250", "550", "250", "354"]
        smtp.send(MESSAGE + b".\r\nMAIL FROM:<>\r\nRSET\r\nQUIT\r\n")
        assert [smtp.reply()[:3] for _ in range(4)] == ["250", "250", "250", "221"]
        assert smtp.is_closed()


def test_smtp_hops(cluster, user):
    loop = b"Received: from x by y; Fri, 20 Nov 2026 10:00:00 +0100\r\n" * 101 + MESSAGE
    with wire.Smtp(cluster) as smtp:
        smtp.envelope([user])
        assert smtp.data(loop).startswith("554 5.4.6")


def test_smtp_auth_wrong(cluster, user):
    with wire.Smtp(cluster, "submissions") as smtp:
        assert smtp.command("AUTH").startswith(("501", "504"))
        assert smtp.command("AUTH GSSAPI").startswith("504 5.5.4")
        assert smtp.command("AUTH PLAIN !!!").startswith("501")
        assert smtp.command("AUTH PLAIN").startswith("334")
        assert smtp.command("*").startswith("501")
        answer = smtp.command("AUTH PLAIN =")  # an empty response: malformed, or asked for again
        assert (smtp.command("=") if answer.startswith("334") else answer).startswith(("501", "535"))
        assert smtp.command("AUTH LOGIN").startswith("334 VXNlc")
        assert smtp.command("x" * 20000).startswith("500 5.5.")
        assert smtp.command("NOOP").startswith("250")
        for _ in range(50):
            answer = smtp.command("AUTH PLAIN AGEAYg==")
            if not answer.startswith("535"):
                break
        assert answer.startswith("421") or smtp.is_closed()


# ---- IMAP

@pytest.mark.parametrize("command,answer", [
    ("", "BAD"), ("NONSENSE", "BAD"), ("SELECT", "BAD"), ("SELECT INBOX extra", "BAD"), ("FETCH 1 FLAGS", "BAD"),
    ("SELECT nowhere", "NO"), ("CREATE INBOX", "NO"), ("DELETE INBOX", "NO"), ('CREATE "a&b"', "BAD"), ('CREATE "a//b"', ("NO", "BAD")),
    ("LOGIN a b", "BAD"), ("STARTTLS", "BAD"), ("UID NOOP", "BAD"), ('LIST "" (', "BAD"), ("STATUS INBOX ()", "BAD"),
    ("STATUS INBOX (NOTHING)", "BAD"), ("ENABLE", "BAD"), ("RENAME a", "BAD"), ("APPEND INBOX", "BAD"),
    ('APPEND INBOX "no literal"', "BAD"), ("SEARCH ALL", "BAD"), ("IDLE now", "BAD"), ('CREATE "' + "x" * 5000 + '"', ("NO", "BAD")),
])
def test_imap_wrong(cluster, user, command, answer):
    with wire.Imap(cluster, user) as imap:
        imap.command(command, allow=(answer,) if isinstance(answer, str) else answer)
        imap.command("NOOP")


@pytest.mark.parametrize("command", [
    "FETCH", "FETCH 1", "FETCH 0 FLAGS", "FETCH a FLAGS", "FETCH 1:2:3 FLAGS", "FETCH 4294967296 FLAGS", "FETCH 1 (FLAGS", "FETCH 1 FLAGS)",
    "FETCH 1 BODY[", "FETCH 1 BODY[]<0>", "FETCH 1 BODY[0]", "FETCH 1 BODY[1.]", "FETCH 1 BODY[HEADER.FIELDS ()]", "FETCH 1 NOTHING",
    "STORE 1 FLAGS", "STORE 1 FLAGS (\\Recent)", "STORE 1 FLAGS (\\Nonsense \\)", "STORE 1 +FLAGS (a", "STORE 1 (UNCHANGEDSINCE) FLAGS ()",
    "SEARCH", "SEARCH (", "SEARCH NOT", "SEARCH OR ALL", "SEARCH SINCE 32-Jan-2026", "SEARCH LARGER x", "SEARCH NONSENSE",
    "SEARCH CHARSET", "COPY 1", "COPY x y", "MOVE 1", "UID EXPUNGE", "UID FETCH FLAGS", 'SEARCH SUBJECT "unterminated',
    "SEARCH HEADER a", "FETCH 1 BINARY[HEADER]", "FETCH 1 BODY[MIME]",
])
def test_imap_wrong_selected(cluster, imap, user, command):
    imap.append("INBOX", MESSAGE)
    imap.command("SELECT INBOX")
    imap.command(command, allow=("BAD",))
    assert imap.fetch("1", "BODY.PEEK[TEXT]")[1]["BODY[TEXT]"] == b"body\r\n"


def test_imap_nested_parentheses(cluster, imap):
    """100,000 of them, in every place that takes some."""
    imap.command("SELECT INBOX")
    deep = "(" * 100000 + "ALL" + ")" * 100000
    for command in ("SEARCH " + deep, "SEARCH " + "NOT " * 15000 + "ALL", "SEARCH " + "OR ALL " * 8000 + "ALL",
                    "FETCH 1 " + deep, 'LIST "" ' + deep, "STORE 1 FLAGS " + deep, "ID " + deep, "SEARCH " + "(" * 20000 + "ALL" + ")" * 20000):
        try:
            imap.command(command, allow=("BAD", "NO"))
        except EOFError:
            raise AssertionError("closed at %s..." % command[:30]) from None
    imap.command("NOOP")


@pytest.mark.parametrize("literal,close", [(b"{4294967296}", False), (b"{4294967296+}", True), (b"{99999999999999999999999}", None),
                                           (b"{4294967295+}", True), (b"{-1}", False), (b"{}", False), (b"{5", False), (b"~{5}", None)])
@pytest.mark.parametrize("command", [b"LOGIN ", b"APPEND INBOX ", b"SELECT ", b"SEARCH SUBJECT "])
@pytest.mark.parametrize("login", [True, False])
def test_imap_literals(cluster, user, literal, close, command, login):
    """4 GiB announced: refused at once (synchronising), or the connection closed (not)."""
    with wire.Imap(cluster, user if login else None) as imap:
        imap.send(b"lit " + command + literal + b"\r\n")
        line = imap.line()
        assert re.match(rb"lit (BAD|NO)|\* (BAD|BYE)", line) or (literal == b"~{5}" and line.startswith(b"+")), line
        if line.startswith(b"lit") and not close and close is not None:
            imap.command("NOOP")
        elif close:
            assert imap.is_closed()


@pytest.mark.parametrize("case", ["quoted", "atom", "literal"])
def test_imap_nul(cluster, imap, case):
    """NUL is allowed in a literal8 only."""
    data = {"quoted": b'SELECT "a\0b"', "atom": b"SELECT a\0b", "literal": b"SELECT {3+}\r\na\0b"}[case]
    imap.command(data, allow=("BAD",))
    imap.command("NOOP")


def test_imap_append_nul(cluster, imap):
    text = b"Subject: nul\r\n\r\na\0b\r\n"
    imap.append("INBOX", text, allow=("BAD",))
    assert imap.exists() == 0
    imap.append("INBOX", text, literal8=True)
    imap.command("SELECT INBOX")
    got = imap.fetch("1", "(RFC822.SIZE BINARY.PEEK[1] BODY.PEEK[HEADER])")[1]
    assert int(got["RFC822.SIZE"]) == len(text)
    assert got["BINARY[1]"] == b"a\0b\r\n"


def test_imap_many_literals(cluster, imap):
    imap.command(b"SEARCH " + b"SUBJECT {1+}\r\nx " * 5000 + b"ALL", allow=("BAD", "NO"))
    imap.command("NOOP")


def test_imap_sets(cluster, imap):
    imap.append("INBOX", MESSAGE)
    imap.command("SELECT INBOX")
    imap.command("FETCH 1:4294967295 FLAGS", allow=("OK", "BAD"))
    assert len(imap.command("UID FETCH 1:4294967295 FLAGS")) == 1
    assert len(imap.command("UID FETCH %s FLAGS" % ",".join("%d:*" % i for i in range(1, 8000)), allow=("OK", "NO", "BAD"))) <= 1
    imap.command("NOOP")


# ---- POP3

def test_pop3_wrong(cluster, user):
    with wire.Pop3(cluster) as pop:
        for line in ("", "NONSENSE", "STAT", "RETR 1", "PASS x", "USER", "AUTH NONSENSE", "AUTH PLAIN !!!", "STLS", "QUIT x" * 1):
            if line.startswith("QUIT"):
                break
            assert pop.command(line).startswith("-ERR"), line
    wire.deliver(cluster, user, MESSAGE)
    with wire.Pop3(cluster, user) as pop:
        for line in ("USER x", "RETR", "RETR 0", "RETR 2", "RETR x", "RETR -1", "RETR 99999999999999999999", "TOP 1", "TOP 1 x", "TOP 1 -1",
                     "DELE 2", "LIST 2", "UIDL 2", "STLS"):
            assert pop.command(line).startswith("-ERR"), line
        assert pop.command("DELE 1").startswith("+OK")
        for line in ("RETR 1", "DELE 1", "LIST 1", "TOP 1 0"):
            assert pop.command(line).startswith("-ERR"), line
        assert pop.command("RSET").startswith("+OK")
        assert pop.multiline("RETR 1").endswith(MESSAGE)


def test_many_connections_at_once(cluster, user):
    """300 open sessions beside each other are all answered."""
    sessions = [wire.Connection(cluster, service) for service in ("smtp", "imap", "pop3") for _ in range(100)]
    try:
        for session in sessions:
            session.line()
        for session in sessions:
            session.send(b"NOOP\r\n" if session.socket.getpeername()[1] != cluster.ports["imap"] else b"a NOOP\r\n")
        for session in sessions:
            session.line()
    finally:
        for session in sessions:
            session.close()
