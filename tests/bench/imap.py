# SPDX-License-Identifier: Apache-2.0
"""An IMAP client that costs little: it looks at the end of an answer only, unless the whole is asked for."""
import concurrent.futures
import functools
import re
import socket
import ssl

TIMEOUT = 120.0
BUFFER_SIZE = 1 << 20
TAIL_SIZE = 4096  # a tagged line is shorter
APPEND_BYTES = 1 << 20  # of messages in one APPEND, about
APPEND_MESSAGES = 50
FILL_SESSIONS = 8
FILL_PART = 500  # messages a session


@functools.lru_cache
def tls_context():
    """Any certificate will do: the server is a process of ours."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Refused(Exception):
    """The server's answer was not OK."""


class Imap:
    def __init__(self, port, user=None, password=None, tls=False):
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls_context().wrap_socket(self.socket)
        self.buffer = memoryview(bytearray(BUFFER_SIZE))
        self.count = 0
        self._read_until(lambda tail: tail.endswith(b"\r\n"))
        if user is not None:
            self.command("LOGIN %s %s" % (user, password))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.socket.close()

    def _read_until(self, is_end, keep=None):
        """Bytes read until is_end(what came last)."""
        tail, size = b"", 0
        while not is_end(tail):
            got = self.socket.recv_into(self.buffer)
            if got == 0:
                raise EOFError("the server has closed, having sent %r" % tail[-300:])
            size += got
            if keep is not None:
                keep.append(bytes(self.buffer[:got]))
            tail = (tail + bytes(self.buffer[max(0, got - TAIL_SIZE):got]))[-TAIL_SIZE:]
        return size

    def send(self, text):
        """Send a command; its tag."""
        self.count += 1
        tag = b"zq%06dqz" % self.count
        self.socket.sendall(tag + b" " + (text if isinstance(text, bytes) else text.encode()) + b"\r\n")
        return tag

    def wait(self, tag, keep=None):
        """Read up to the tagged answer; the bytes read."""
        def is_end(tail):
            if not tail.endswith(b"\r\n"):
                return False
            last = tail[tail.rfind(b"\r\n", 0, -2) + 2:] if b"\r\n" in tail[:-2] else tail
            if last.startswith(tag + b" ") and not last.startswith(tag + b" OK"):
                raise Refused(last.decode(errors="replace").strip())
            return last.startswith(tag + b" ")
        return self._read_until(is_end, keep)

    def command(self, text):
        """Run a command; the bytes of its answer, counted."""
        return self.wait(self.send(text))

    def ask(self, text):
        """Run a command; its answer."""
        parts = []
        self.wait(self.send(text), parts)
        return b"".join(parts)

    def idle(self):
        """Begin IDLE and leave it so."""
        self.send("IDLE")
        self._read_until(lambda tail: tail.startswith(b"+ ") or b"\r\n+ " in tail)

    def message_count(self, mailbox="INBOX"):
        return int(re.search(rb"MESSAGES (\d+)", self.ask("STATUS %s (MESSAGES)" % mailbox))[1])

    def append_all(self, messages, mailbox="INBOX"):
        """Append messages, many by a command (RFC 3502, RFC 7888)."""
        batch, size = [], 0
        for message in messages:
            batch.append(b" {%d+}\r\n" % len(message) + message)
            size += len(message)
            if size > APPEND_BYTES or len(batch) == APPEND_MESSAGES:
                self.command(b"APPEND " + mailbox.encode() + b"".join(batch))
                batch, size = [], 0
        if batch:
            self.command(b"APPEND " + mailbox.encode() + b"".join(batch))


def fill_part(port, user, password, messages):
    with Imap(port, user, password) as session:
        session.append_all(messages)


def fill(side, users, messages, count):
    """Append copies of messages to the INBOX of each user until there are `count`; several sessions at a time."""
    parts = []  # (user, messages for one session)
    for user in users:
        with Imap(side.ports["imap"], user, side.password) as session:
            missing = [messages[number % len(messages)] for number in range(session.message_count(), count)]
        parts += [(user, missing[begin:begin + FILL_PART]) for begin in range(0, len(missing), FILL_PART)]
    with concurrent.futures.ThreadPoolExecutor(FILL_SESSIONS) as pool:
        list(pool.map(lambda part: fill_part(side.ports["imap"], part[0], side.password, part[1]), parts))
    for user in users:
        with Imap(side.ports["imap"], user, side.password) as session:
            there = session.message_count()
        if there != count:
            raise Refused("%s has %d messages instead of %d" % (user, there, count))
