#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Play transcripts (what a client says, what the server must answer) against a running cluster.

    tests/transcript/run.py --dir .local [FILES]       ports and ternctl from .local/env
    tests/transcript/run.py --imap 127.0.0.1:2143 --user bob@example.test:secret FILES

The cluster must refuse passwords without TLS (as it does by default): some transcripts look at that. Every transcript
plays with fresh accounts, which $TERNCTL makes (--user: with this one, as it is). It begins with directives and goes on
with steps, one a line; '#' starts a comment.

    protocol imap | smtp | submission | pop3   which port; without it the name of the folder
    tls                                        connect to the port that speaks TLS from the first byte
    accounts 2                                 how many accounts; 1 at first

    [A]            from here on, connection A: opened when first named (a transcript without any begins with A)
    [A pop3s]      the same, at another service's port than the transcript's
    C: text        send text and CRLF; \\r \\n \\0 \\t \\\\ \\xNN mean what they mean elsewhere
    C-: text       send text without CRLF
    C*1000: text   send it so often, without CRLF
    S: pattern     the next line must be this
    S*: pattern    lines in a row with S*: may come in any order
    S~: pattern    skip lines until this one comes
    TLS            shake hands (after STARTTLS)
    CLOSE          hang up
    LEAVE          hang up, and wait until the server has ended the session
    CLOSED         the server must hang up (what it still says does not matter)
    QUIET 0.2      nothing may come for so many seconds

An answer must come within 10 seconds.

In what is sent and in patterns, {$user} {$password} {$name} are put in: of the first account user, password, local,
and in base64 user64, password64, plain64 (SASL PLAIN's message) ({$user2} ... of the second), host, and what was captured. In patterns {/regex/} matches a regular expression, and
{name/regex/} also captures it. Everything else is literal, so IMAP's {12} needs no care. Standard library only.
"""
import argparse
import base64
import os
import re
import secrets
import shlex
import socket
import ssl
import subprocess
import sys
import time

TIMEOUT = 10.0
TLS_SERVICE = {"imap": "imaps", "pop3": "pop3s", "submission": "submissions", "smtp": "submissions"}
PLACEHOLDER = re.compile(r"\{\$(\w+)\}|\{(\w*)/((?:[^/\\]|\\.)*)/\}")
ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|.)")


class Mismatch(Exception):
    pass


class Connection:
    """One TCP connection, read line by line."""

    def __init__(self, address, tls):
        self.sock = socket.create_connection(address, timeout=TIMEOUT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""
        self.ended = False
        if tls:
            self.start_tls()

    def start_tls(self):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.sock = context.wrap_socket(self.sock)
        self.pending = b""

    def fill(self, deadline):
        """Read more; False at the end of the stream or at the deadline."""
        left = deadline - time.monotonic()
        if self.ended or left <= 0:
            return False
        self.sock.settimeout(left)
        try:
            data = self.sock.recv(65536)
        except (TimeoutError, socket.timeout):
            return False
        except OSError:
            data = b""
        if not data:
            self.ended = True
            return False
        self.pending += data
        return True

    def line(self):
        deadline = time.monotonic() + TIMEOUT
        while b"\n" not in self.pending:
            if not self.fill(deadline):
                why = "the server hung up" if self.ended else "nothing came"
                raise Mismatch(f"{why}; so far {self.pending!r}")
        line, self.pending = self.pending.split(b"\n", 1)
        return line[:-1] if line.endswith(b"\r") else line

    def send(self, data):
        self.sock.settimeout(TIMEOUT)
        try:
            self.sock.sendall(data)
        except OSError:
            pass  # the server hung up meanwhile: what is expected next tells whether it should have

    def leave(self):
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()


class Transcript:
    def __init__(self, path, services):
        self.path = path
        self.services = services
        self.protocol = os.path.basename(os.path.dirname(os.path.abspath(path)))
        self.tls = False
        self.accounts = 1
        self.values = {"host": "localhost"}
        self.connections = {}
        self.now = None
        self.steps = []
        self.read()

    def read(self):
        with open(self.path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                line = line.rstrip("\n")
                if not line.strip() or line.startswith("#"):
                    continue
                words = line.split()
                if words[0] == "protocol":
                    self.protocol = words[1]
                elif words == ["tls"]:
                    self.tls = True
                elif words[0] == "accounts":
                    self.accounts = int(words[1])
                else:
                    self.steps.append((number, line))

    def use(self, name, service=None):
        if name not in self.connections:
            service = service or (TLS_SERVICE[self.protocol] if self.tls else self.protocol)
            if service not in self.services:
                raise Mismatch(f"no address for {service} is known")
            self.connections[name] = Connection(self.services[service], service in TLS_SERVICE.values())
        self.now = self.connections[name]

    def value(self, name):
        if name not in self.values:
            raise Mismatch(f"{{${name}}} has no value")
        return self.values[name]

    def text(self, source):
        """What is sent: values put in, escapes undone."""
        source = re.sub(r"\{\$(\w+)\}", lambda m: self.value(m.group(1)), source)

        def unescape(match):
            code = match.group(1)
            if code[0] == "x":
                return chr(int(code[1:], 16) | 0xDC00 if int(code[1:], 16) > 127 else int(code[1:], 16))
            return {"r": "\r", "n": "\n", "0": "\0", "t": "\t"}.get(code, code)

        return ESCAPE.sub(unescape, source).encode("utf-8", "surrogateescape")

    def matches(self, pattern, line):
        expression, names, at = "", [], 0
        for match in PLACEHOLDER.finditer(pattern):
            expression += re.escape(pattern[at:match.start()])
            if match.group(1):
                expression += re.escape(self.value(match.group(1)))
            else:
                names.append(match.group(2))
                expression += "(" + re.sub(r"\((?!\?)", "(?:", match.group(3).replace("\\/", "/")) + ")"
            at = match.end()
        expression += re.escape(pattern[at:])
        found = re.fullmatch(expression, line.decode("utf-8", "surrogateescape"), re.DOTALL)
        if not found:
            return False
        for index, name in enumerate(names, 1):
            if name:
                self.values[name] = found.group(index)
        return True

    def expect(self, pattern):
        line = self.now.line()
        if not self.matches(pattern, line):
            raise Mismatch(f"but came {line!r}")

    def expect_skipping(self, pattern):
        seen = []
        while True:
            try:
                line = self.now.line()
            except Mismatch as error:
                raise Mismatch(f"{error}; skipped {seen[-5:]!r}")
            if self.matches(pattern, line):
                return
            seen.append(line)

    def expect_any_order(self, patterns):
        left = list(patterns)
        while left:
            line = self.now.line()
            for pattern in left:
                if self.matches(pattern, line):
                    left.remove(pattern)
                    break
            else:
                raise Mismatch(f"but came {line!r}, with {left!r} still to come")

    def expect_quiet(self, seconds):
        if self.now.pending or self.now.fill(time.monotonic() + seconds):
            raise Mismatch(f"not quiet: {self.now.pending!r}")

    def expect_closed(self):
        deadline = time.monotonic() + TIMEOUT
        while self.now.fill(deadline):
            self.now.pending = b""
        if not self.now.ended:
            raise Mismatch("the server does not hang up")

    def step(self, line, following):
        """Play one step; returns how many further lines belonged to it."""
        if re.fullmatch(r"\[\w+( \w+)?\]", line):
            self.use(*line[1:-1].split())
            return 0
        if self.now is None:
            self.use("A")
        if match := re.match(r"C(-|\*(\d+))?:(?: (.*))?$", line):
            data = self.text(match.group(3) or "")
            self.now.send(data * int(match.group(2) or 1) + (b"" if match.group(1) else b"\r\n"))
        elif match := re.match(r"S([*~])?:(?: (.*))?$", line):
            pattern = match.group(2) or ""
            if match.group(1) == "*":
                more = []
                for other in following:
                    if not other.startswith("S*: "):
                        break
                    more.append(other[4:])
                self.expect_any_order([pattern] + more)
                return len(more)
            (self.expect_skipping if match.group(1) else self.expect)(pattern)
        else:
            self.order(line.split())
        return 0

    def order(self, words):
        if words == ["TLS"]:
            self.now.start_tls()
        elif words == ["CLOSE"]:
            self.now.close()
        elif words == ["LEAVE"]:
            self.now.leave()
            self.expect_closed()
        elif words == ["CLOSED"]:
            self.expect_closed()
        elif words[0] == "QUIET":
            self.expect_quiet(float(words[1]))
        else:
            raise Mismatch("this is no step")

    def play(self):
        """None, or what went wrong."""
        lines = [line for _, line in self.steps]
        at = 0
        try:
            while at < len(lines):
                at += 1 + self.step(lines[at], lines[at + 1:])
        except (Mismatch, OSError) as error:
            number = self.steps[at][0]
            return f"{self.path}:{number}: {lines[at]}\n    {error}"
        finally:
            for connection in self.connections.values():
                connection.close()
        return None


def read_env(path):
    """KEY='value' lines that a shell could source."""
    values = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            if "=" in line:
                key, value = line.strip().split("=", 1)
                values[key] = "".join(shlex.split(value))
    return values


def services_of(arguments, env):
    services = {}
    for service in ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s"):
        given = getattr(arguments, service)
        if given:
            host, port = given.rsplit(":", 1)
            services[service] = (host, int(port))
        elif service.upper() + "_1" in env:
            services[service] = ("127.0.0.1", int(env[service.upper() + "_1"]))
    return services


def make_accounts(transcript, ternctl, given, domain):
    for index in range(1, transcript.accounts + 1):
        suffix = "" if index == 1 else str(index)
        if given:
            user, password = given[index - 1].rsplit(":", 1)
        else:
            user = f"t{secrets.token_hex(5)}@{domain}"
            password = secrets.token_hex(8)
            subprocess.run(shlex.split(ternctl) + ["user", "add", user, "--password-stdin"],
                           input=password + "\n", text=True, check=True, stdout=subprocess.DEVNULL)
        transcript.values["user" + suffix] = user
        transcript.values["password" + suffix] = password
        transcript.values["local" + suffix] = user.split("@")[0]
        for name, text in (("user64", user), ("password64", password), ("plain64", f"\0{user}\0{password}")):
            transcript.values[name + suffix] = base64.b64encode(text.encode()).decode()


def find_files(paths):
    for path in paths:
        if os.path.isdir(path):
            for folder, _, names in sorted(os.walk(path)):
                yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith(".txt"))
        else:
            yield path


def main():
    parser = argparse.ArgumentParser(description="Play transcripts against a running cluster.")
    parser.add_argument("--dir", help="folder of deploy/local.sh: ports and ternctl come from its env file")
    for service in ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s"):
        parser.add_argument("--" + service, metavar="HOST:PORT")
    parser.add_argument("--user", action="append", default=[], metavar="ADDRESS:PASSWORD",
                        help="play with this account instead of fresh ones (again for the second)")
    parser.add_argument("--domain", default="example.test")
    parser.add_argument("files", nargs="*", help="transcripts or folders; all without any")
    arguments = parser.parse_args()
    env = read_env(os.path.join(arguments.dir, "env")) if arguments.dir else {}
    ternctl = os.environ.get("TERNCTL") or env.get("TERNCTL")
    if not ternctl and not arguments.user:
        parser.error("no accounts: neither --dir, nor $TERNCTL, nor --user")
    services = services_of(arguments, env)
    failed = played = 0
    for path in find_files(arguments.files or [os.path.dirname(os.path.abspath(__file__))]):
        transcript = Transcript(path, services)
        make_accounts(transcript, ternctl, arguments.user, arguments.domain)
        fault = transcript.play()
        played += 1
        failed += fault is not None
        print(f"FAIL {fault}" if fault else f"ok   {path}", flush=True)
    print(f"{played} transcripts, {failed} failed")
    return 1 if failed or not played else 0


if __name__ == "__main__":
    sys.exit(main())
