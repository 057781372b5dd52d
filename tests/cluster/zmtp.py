# SPDX-License-Identifier: Apache-2.0
"""Just enough of ZeroMQ, through ctypes, to knock at the programs' sockets with any key."""
import ctypes
import re
import time

ZMQ = ctypes.CDLL("libzmq.so.5")
ZMQ.zmq_ctx_new.restype = ZMQ.zmq_socket.restype = ctypes.c_void_p
DEALER, LINGER, RCVMORE, SNDMORE, DONTWAIT = 5, 17, 13, 2, 1
CURVE_PUBLICKEY, CURVE_SECRETKEY, CURVE_SERVERKEY = 48, 49, 50


def keypair():
    """A new (public, secret), in Z85."""
    public, secret = ctypes.create_string_buffer(41), ctypes.create_string_buffer(41)
    assert ZMQ.zmq_curve_keypair(public, secret) == 0
    return public.value.decode(), secret.value.decode()


def read_pair(path, age="current"):
    """(public, secret) of a ROLE.key."""
    with open(path) as text:
        return re.search(r'^%s: \{ public = "(.{40})"; secret = "(.{40})"; \};' % age, text.read(), re.M).groups()


class Dealer:
    """A connection; `own` is a keypair, `server` the public key expected. Both None: no keys."""

    def __init__(self, port, own=None, server=None):
        self.context = ctypes.c_void_p(ZMQ.zmq_ctx_new())
        self.socket = ctypes.c_void_p(ZMQ.zmq_socket(self.context, DEALER))
        self._set(LINGER, ctypes.c_int(0))
        if own is not None:
            for option, key in ((CURVE_SERVERKEY, server), (CURVE_PUBLICKEY, own[0]), (CURVE_SECRETKEY, own[1])):
                self._set(option, ctypes.create_string_buffer(key.encode()))
        assert ZMQ.zmq_connect(self.socket, b"tcp://127.0.0.1:%d" % port) == 0

    def _set(self, option, value):
        assert ZMQ.zmq_setsockopt(self.socket, option, ctypes.byref(value), ctypes.sizeof(value)) == 0

    def send(self, *frames):
        for i, frame in enumerate(frames):
            assert ZMQ.zmq_send(self.socket, frame, len(frame), DONTWAIT | (SNDMORE if i + 1 < len(frames) else 0)) >= 0

    def receive(self, timeout=10.0):
        """The first frame of an answer, or None."""
        frame, end = ctypes.create_string_buffer(65536), time.monotonic() + timeout
        while time.monotonic() < end:
            size = ZMQ.zmq_recv(self.socket, frame, len(frame), DONTWAIT)
            if size >= 0:
                first = frame.raw[:size]
                while self._more():
                    assert ZMQ.zmq_recv(self.socket, frame, len(frame), 0) >= 0
                return first
            time.sleep(0.01)
        return None

    def _more(self):
        more, size = ctypes.c_int(), ctypes.c_size_t(ctypes.sizeof(ctypes.c_int))
        assert ZMQ.zmq_getsockopt(self.socket, RCVMORE, ctypes.byref(more), ctypes.byref(size)) == 0
        return more.value

    def __enter__(self):
        return self

    def __exit__(self, *args):
        ZMQ.zmq_close(self.socket)
        ZMQ.zmq_ctx_term(self.context)


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def request(method, deadline_ms=5000):
    """The frames of a call with an empty request (proto/rpc.proto)."""
    return b"\x08\x01\x10\x01\x18" + varint(method) + b"\x30" + varint(deadline_ms), b""


def status(header):
    """The status of an answer's header, and the detail. Fields up to 4 come in order."""
    match = re.match(rb"\x08\x01\x10\x01(?:\x18(.))?(?:\x22(.)(.*))?", header, re.S)
    code, length, rest = match.groups()
    return code[0] if code else 0, rest[:length[0]].decode() if length else ""
