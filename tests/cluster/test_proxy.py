# SPDX-License-Identifier: Apache-2.0
"""The PROXY protocol in front of every service: who the client is, as the balancer tells it, and what becomes of connections that
do not tell (https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt)."""
import socket
import struct
import time

import pytest

import conftest
import wire
from load import numbered

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
BALANCER, STRANGER = "127.0.0.1", "127.0.0.2"


@pytest.fixture(scope="module")
def proxied(build):
    yield from conftest.run_cluster(build, frontend={"proxy_nets": [BALANCER + "/32"]})


def version_1(client, client_port=40000):
    return b"PROXY TCP%d %s %s %d 25\r\n" % (6 if ":" in client else 4, client.encode(), b"::1" if ":" in client else b"192.0.2.1",
                                            client_port)


def version_2(client, command=1, extra=b""):
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    to = "::1" if ":" in client else "192.0.2.1"
    addresses = socket.inet_pton(family, client) + socket.inet_pton(family, to) + struct.pack(">HH", 40000, 25) + extra
    return SIGNATURE + struct.pack(">BBH", 0x20 | command, 0x21 if ":" in client else 0x11, len(addresses)) + addresses


class Raw(wire.Connection):
    """A connection that begins with what it is told to, from an address of its own."""

    def __init__(self, cluster, service, first, source=BALANCER, pieces=1):
        self.cluster, self.buffer = cluster, bytearray()
        self.socket = socket.create_connection((cluster.host, cluster.ports[service]), 30, source_address=(source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        step = max(1, -(-len(first) // pieces))
        for at in range(0, len(first), step):
            self.send(first[at:at + step])
            if pieces > 1:
                time.sleep(0.002)


def received_from(cluster, first, **options):
    """What the Received field of a message says of the client."""
    user = cluster.add_user()
    with Raw(cluster, "smtp", first, **options) as smtp:
        assert smtp.line().startswith(b"220")
        for line in (b"HELO client.test", b"MAIL FROM:<a@elsewhere.test>", b"RCPT TO:<%s>" % user.encode()):
            smtp.send(line + b"\r\n")
            assert smtp.line().startswith(b"250")
        smtp.send(b"DATA\r\n")
        assert smtp.line().startswith(b"354")
        smtp.send(numbered("x") + b".\r\n")
        assert smtp.line().startswith(b"250")
    # the reader comes through the balancer as well
    with Raw(cluster, "imaps", version_1("198.51.100.1")) as imap:
        imap.start_tls()
        assert imap.line().startswith(b"* OK")
        imap.send('a LOGIN "%s" "%s"\r\nb SELECT INBOX\r\nc FETCH 1 BODY.PEEK[HEADER.FIELDS (Received)]\r\n' % (user, wire.PASSWORD))
        text = imap.until(b"c OK")
    return text[text.index(b"Received: from"):].split(b"\r\n")[0]


@pytest.mark.parametrize("first", [version_1, version_2])
def test_address(proxied, first):
    assert b"[203.0.113.7]" in received_from(proxied, first("203.0.113.7"))
    assert b"[IPv6:2001:db8::7]" in received_from(proxied, first("2001:db8::7"))


def test_byte_by_byte(proxied):
    assert b"[203.0.113.8]" in received_from(proxied, version_1("203.0.113.8"), pieces=1000)
    extra = struct.pack(">BH", 0x04, 200) + bytes(200)  # a field to be skipped (PP2_TYPE_NOOP)
    assert b"[203.0.113.9]" in received_from(proxied, version_2("203.0.113.9", extra=extra), pieces=1000)


def test_health_check(proxied):
    """LOCAL and UNKNOWN: the balancer speaks for itself."""
    assert b"[127.0.0.1]" in received_from(proxied, version_2("203.0.113.7", command=0))
    assert b"[127.0.0.1]" in received_from(proxied, b"PROXY UNKNOWN\r\n")


@pytest.mark.parametrize("service,greeting", [("smtp", b"220"), ("submission", b"220"), ("submissions", b"220"), ("imap", b"* OK"),
                                              ("imaps", b"* OK"), ("pop3", b"+OK"), ("pop3s", b"+OK")])
@pytest.mark.parametrize("first", [version_1, version_2])
def test_every_service(proxied, service, greeting, first):
    with Raw(proxied, service, first("203.0.113.7")) as connection:
        if service.endswith("s"):
            connection.start_tls()
        assert connection.line().startswith(greeting)


@pytest.mark.parametrize("first", [
    b"HELO client.test\r\n", b"PROXY TCP4 203.0.113.7\r\n", b"PROXY TCP4 203.0.113.7 192.0.2.1 99999 25\r\n", b"PROXY " + b"x" * 200,
    SIGNATURE + b"\x31\x11\0\x0c" + bytes(12), SIGNATURE + b"\x21\x11\xff\xff" + bytes(4096), b"\0" * 100,
])
def test_no_header(proxied, first):
    """The balancer must say who it is for: what else comes from it is cut, without a word."""
    with Raw(proxied, "smtp", first) as connection:
        assert connection.read_to_end() == b""


def test_stranger(proxied):
    """Whoever is no balancer is served as himself, and cannot pretend."""
    with Raw(proxied, "smtp", b"", source=STRANGER) as smtp:
        assert smtp.line().startswith(b"220")
        smtp.send(version_1("203.0.113.7"))
        assert smtp.line().startswith(b"500")
    assert b"[127.0.0.2]" in received_from(proxied, b"", source=STRANGER)


def test_next_is_served(proxied):
    """A balancer's connection that says nothing blocks nobody."""
    with Raw(proxied, "smtp", b"PRO"), Raw(proxied, "smtp", version_1("203.0.113.7")) as other:
        assert other.line().startswith(b"220")
