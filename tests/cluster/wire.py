# SPDX-License-Identifier: Apache-2.0
"""What the tests speak where the libraries are too polite: lines and bytes over a socket, and small clients of the three protocols
that keep every answer."""
import base64
import re
import socket
import ssl
import time

from harness import HOSTNAME, PASSWORD, wait_for

TIMEOUT = 30.0
ARRIVE_MAX = 60.0  # seconds until what was queued is in its mailbox, once its partition is served


def tls_context(cluster):
    return ssl.create_default_context(cafile=cluster.authority.file)


class Connection:
    """A socket with lines."""

    def __init__(self, cluster, service, timeout=TIMEOUT):
        self.cluster = cluster
        self.socket = socket.create_connection((cluster.host, cluster.ports[service]), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        if service in ("submissions", "imaps", "pop3s"):
            self.start_tls()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        self.socket.close()

    def leave(self):
        """Hang up, and wait until the server has ended the session."""
        self.socket.shutdown(socket.SHUT_WR)
        self.read_to_end()
        self.close()

    def start_tls(self):
        self.socket = tls_context(self.cluster).wrap_socket(self.socket, server_hostname=HOSTNAME)

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def fill(self):
        data = self.socket.recv(1 << 18)
        if not data:
            raise EOFError("connection closed, having sent %r" % bytes(self.buffer[-200:]))
        self.buffer += data

    def take(self, size):
        """The first octets of what has been received."""
        data = bytes(self.buffer[:size])
        del self.buffer[:size]  # cheap: a bytearray moves its start
        return data

    def until(self, mark):
        """Everything up to the mark, and the mark."""
        searched = 0
        while True:
            at = self.buffer.find(mark, searched)
            if at >= 0:
                return self.take(at + len(mark))
            searched = max(0, len(self.buffer) - len(mark))
            self.fill()

    def line(self):
        """The next line without its CRLF."""
        return self.until(b"\r\n")[:-2]

    def read(self, size):
        while len(self.buffer) < size:
            self.fill()
        return self.take(size)

    def read_to_end(self, limit=1 << 20):
        """Everything until the server closes (or resets: it may have unread input of ours)."""
        data = self.take(len(self.buffer))
        try:
            while len(data) < limit:
                more = self.socket.recv(65536)
                if not more:
                    break
                data += more
        except (ConnectionError, ssl.SSLError):
            pass
        return data

    def is_closed(self, timeout=TIMEOUT):
        """The server has closed, within the time."""
        self.socket.settimeout(timeout)
        try:
            while self.socket.recv(65536):
                pass
            return True
        except socket.timeout:
            return False
        except (ConnectionError, ssl.SSLError):
            return True
        finally:
            self.socket.settimeout(TIMEOUT)


class Smtp(Connection):
    """The greeting is in .greeting; EHLO is said unless told otherwise."""

    def __init__(self, cluster, service="smtp", ehlo=True, user=None, timeout=TIMEOUT):
        super().__init__(cluster, service, timeout)
        self.greeting = self.reply()
        if ehlo:
            self.features = self.command("EHLO client.test")
            assert self.features.startswith("250"), self.features
        if user:
            if service == "submission":
                assert self.command("STARTTLS").startswith("220")
                self.start_tls()
                self.command("EHLO client.test")
            answer = self.command("AUTH PLAIN " + base64.b64encode(("\0%s\0%s" % (user, PASSWORD)).encode()).decode())
            assert answer.startswith("235"), answer

    def reply(self):
        """A whole reply, lines joined by \\n."""
        lines = []
        while True:
            lines.append(self.line().decode("utf-8", "replace"))
            if lines[-1][3:4] != "-":
                return "\n".join(lines)

    def command(self, line):
        self.send(line if isinstance(line, bytes) else line.encode())
        self.send(b"\r\n")
        return self.reply()

    def envelope(self, recipients, sender="stranger@elsewhere.test", options=""):
        for line in ["MAIL FROM:<%s>%s" % (sender, options)] + ["RCPT TO:<%s>" % r for r in recipients]:
            answer = self.command(line)
            assert answer.startswith("250"), "%s: %s" % (line, answer)

    def data(self, message):
        """DATA with dot-stuffing; the final reply."""
        answer = self.command("DATA")
        assert answer.startswith("354"), answer
        stuffed = re.sub(rb"(?m)^\.", b"..", message)
        self.send(stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        return self.reply()

    def bdat(self, message, chunk=100000):
        pieces = [message[i:i + chunk] for i in range(0, len(message), chunk)] or [b""]
        for i, piece in enumerate(pieces):
            last = " LAST" if i == len(pieces) - 1 else ""
            self.send(b"BDAT %d%s\r\n" % (len(piece), last.encode()) + piece)
            answer = self.reply()
            if not answer.startswith("250"):
                return answer
        return answer


def arrived(cluster, answer):
    """Of a message that was taken: wait until it is in its mailboxes. On a busy machine a partition may not answer for so long that
    mail for it goes to the queue."""
    assert answer.startswith("250"), answer
    if answer.startswith("250 2.0.0 queued"):
        wait_for(lambda: cluster.ctl_json("queue", "stats")["items"] == 0, ARRIVE_MAX, "an empty queue")


def deliver(cluster, recipient, message, may_wait=False, **options):
    """One message by SMTP; it must be taken, and is in the mailbox then, unless it may wait in the queue."""
    with Smtp(cluster) as smtp:
        smtp.envelope(recipient if isinstance(recipient, list) else [recipient], **options)
        answer = smtp.data(message)
        assert answer.startswith("250"), answer
        smtp.command("QUIT")
    if not may_wait:
        arrived(cluster, answer)


class ImapError(AssertionError):
    pass


class Imap(Connection):
    """Tagged commands. Untagged answers are lists of str and bytes (literals), see parse_response."""

    def __init__(self, cluster, user=None, service="imaps", select=None, timeout=TIMEOUT):
        super().__init__(cluster, service, timeout)
        self.tags = 0
        self.greeting = self.line()
        self.code = None
        if user:
            if service == "imap":
                self.command("STARTTLS")
                self.start_tls()
            self.command('LOGIN "%s" "%s"' % (user, PASSWORD))
        if select:
            self.command('SELECT "%s"' % select)

    def next_tag(self):
        self.tags += 1
        return b"t%d" % self.tags

    def response(self):
        """One response line with its literals in place, as bytes."""
        whole = b""
        while True:
            line = self.line()
            whole += line
            literal = re.search(rb"\{(\d+)\}$", line)
            if not literal:
                return whole
            whole += b"\r\n" + self.read(int(literal.group(1)))

    def finish(self, tag, allow=("OK",)):
        """Untagged responses up to the tagged one; its text in .status, its code in .code."""
        untagged = []
        while True:
            response = self.response()
            if response.startswith(tag + b" "):
                self.status = response[len(tag) + 1:].decode("utf-8", "replace")
                code = re.match(r"\w+ \[(.*?)\]", self.status)
                self.code = code.group(1) if code else None
                if self.status.split()[0] not in allow:
                    raise ImapError(self.status)
                return untagged
            untagged.append(response)

    def command(self, line, allow=("OK",)):
        """Untagged responses to one command, which is bytes or str and may hold non-synchronising literals."""
        tag = self.next_tag()
        self.send(tag + b" " + (line.encode() if isinstance(line, str) else line) + b"\r\n")
        return self.finish(tag, allow)

    def append(self, mailbox, message, flags="", literal8=False, allow=("OK",)):
        tag = self.next_tag()
        self.send(b'%s APPEND "%s" %s%s{%d+}\r\n' % (tag, mailbox.encode(), flags.encode() + b" " if flags else b"",
                                                     b"~" if literal8 else b"", len(message)) + message + b"\r\n")
        return self.finish(tag, allow)

    def fetch(self, messages, items, uid=False):
        """{sequence number: {item: value}}"""
        result = {}
        for response in self.command("%sFETCH %s %s" % ("UID " if uid else "", messages, items)):
            match = re.match(rb"\* (\d+) FETCH (.*)$", response, re.S)
            if match:
                values = parse(match.group(2))[0]
                result.setdefault(int(match.group(1)), {}).update(
                    (values[i].decode().upper(), values[i + 1]) for i in range(0, len(values), 2))
        return result

    def exists(self, mailbox="INBOX"):
        answer = b" ".join(self.command('STATUS "%s" (MESSAGES)' % mailbox))
        return int(re.search(rb"MESSAGES (\d+)", answer).group(1))


class Atom(bytes):
    """Not a string: NIL, a number, a flag, an item's name."""


TOKEN = re.compile(rb'\(|\)|"((?:[^"\\]|\\.)*)"|~?\{(\d+)\}\r\n|((?:[^\s()"{\[]|\[[^\]]*\](?:<\d+>)?)+)|\s+', re.S)


def parse(data):
    """IMAP's parenthesised data as nested lists: Atom for atoms, None for NIL, bytes for strings."""
    stack, at = [[]], 0
    while at < len(data):
        token = TOKEN.match(data, at)
        assert token, "cannot parse %r" % data[at:at + 80]
        at = token.end()
        if token.group(0) == b"(":
            stack.append([])
        elif token.group(0) == b")":
            done = stack.pop()
            stack[-1].append(done)
        elif token.group(1) is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", token.group(1), flags=re.S))
        elif token.group(2) is not None:
            size = int(token.group(2))
            stack[-1].append(data[at:at + size])
            at += size
        elif token.group(3) is not None:
            stack[-1].append(None if token.group(3).upper() == b"NIL" else Atom(token.group(3)))
    assert len(stack) == 1, "parentheses do not balance"
    return stack[0]


class Pop3(Connection):
    def __init__(self, cluster, user=None, service="pop3s", timeout=TIMEOUT):
        super().__init__(cluster, service, timeout)
        self.greeting = self.line()
        if user:
            if service == "pop3":
                assert self.command("STLS").startswith("+OK")
                self.start_tls()
            assert self.command("USER " + user).startswith("+OK")
            answer = self.command("PASS " + PASSWORD)
            assert answer.startswith("+OK"), answer

    def command(self, line):
        self.send(line + "\r\n")
        return self.line().decode("utf-8", "replace")

    def multiline(self, line):
        """The bytes of a multi-line answer, unstuffed."""
        answer = self.command(line)
        assert answer.startswith("+OK"), answer
        text = self.read(3)
        if text != b".\r\n":
            self.buffer[:0] = text
            text = self.until(b"\r\n.\r\n")
        return re.sub(rb"(?m)^\.", b"", text[:-3])


def eventually(check, timeout=10.0):
    """Run check until it does not fail any more."""
    end = time.monotonic() + timeout
    while True:
        try:
            return check()
        except AssertionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
