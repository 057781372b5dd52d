# SPDX-License-Identifier: Apache-2.0
"""What operators do: drain, reload, look at HTTP, make mistakes in the configuration; and what they rely on: TLS done right."""
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest

import harness
import wire
from harness import HOSTNAME, PASSWORD, wait_for

MESSAGE = b"From: a@b.test\r\nSubject: hello\r\n\r\nbody\r\n"
IDLE_BOUND = 1.0  # seconds; 100 ms on an idle machine without sanitizers
IDLE_ROUNDS = 4   # of the same, if the machine stands still in one


# ---- several sessions on one mailbox

def idle_delays(cluster, user, writer, idlers, have):
    """How long each of five changes takes to all idlers of a mailbox of so many messages; two more are in it then."""
    delays = []
    for step, expected in ((lambda: wire.deliver(cluster, user, MESSAGE), rb"\* %d EXISTS" % (have + 1)),
                           (lambda: (writer.command("NOOP"), writer.command(r"STORE %d +FLAGS (\Flagged)" % (have + 1))),
                            rb"\* %d FETCH .*\\Flagged" % (have + 1)),
                           (lambda: writer.append("INBOX", MESSAGE), rb"\* %d EXISTS" % (have + 2)),
                           (lambda: writer.command("MOVE %d Trash" % (have + 1)), rb"\* %d EXPUNGE" % (have + 1)),
                           (lambda: wire.deliver(cluster, user, MESSAGE), rb"\* %d EXISTS" % (have + 2))):
        step()
        start = time.monotonic()
        for imap in idlers:
            while not re.match(expected, imap.line()):
                pass
        delays.append(time.monotonic() - start)
    return delays


def test_idle_hears_at_once(cluster, user):
    """New mail, flags and expunges reach an idling session quickly, on whichever loop it is."""
    idlers = [wire.Imap(cluster, user, select="INBOX") for _ in range(4)]
    rounds = []
    try:
        for imap in idlers:
            imap.send(b"idle IDLE\r\n")
            assert imap.line().startswith(b"+")
        time.sleep(0.3)  # parked by now
        with wire.Imap(cluster, user, select="INBOX") as writer:
            for number in range(IDLE_ROUNDS):
                rounds.append(idle_delays(cluster, user, writer, idlers, 2 * number))
                best = [min(delays) for delays in zip(*rounds)]
                if max(best) < IDLE_BOUND:
                    break
        for imap in idlers:
            imap.send(b"DONE\r\n")
            imap.finish(b"idle")
        assert max(best) < IDLE_BOUND, rounds
    finally:
        for imap in idlers:
            imap.close()


def test_idle_many_sessions(cluster, user):
    """A hundred parked sessions all hear of one message."""
    idlers = [wire.Imap(cluster, user, select="INBOX") for _ in range(100)]
    try:
        for imap in idlers:
            imap.send(b"idle IDLE\r\n")
            imap.line()
        time.sleep(0.5)
        wire.deliver(cluster, user, MESSAGE)
        for imap in idlers:
            while imap.line() != b"* 1 EXISTS":
                pass
    finally:
        for imap in idlers:
            imap.close()


# ---- TLS

def peer_certificate(cluster, service):
    with socket.create_connection(("127.0.0.1", cluster.ports[service])) as plain:
        with wire.tls_context(cluster).wrap_socket(plain, server_hostname=HOSTNAME) as tls:
            return tls.getpeercert(binary_form=True)


def test_sighup_reloads_certificates(cluster):
    before = peer_certificate(cluster, "imaps")
    with wire.Imap(cluster) as old:
        cluster.authority.issue(cluster.certificate, cluster.key)
        assert peer_certificate(cluster, "imaps") == before
        cluster.frontend.signal(signal.SIGHUP)
        wait_for(lambda: peer_certificate(cluster, "imaps") != before, 10, "the new certificate")
        for service in ("submissions", "pop3s"):
            assert peer_certificate(cluster, service) == peer_certificate(cluster, "imaps")
        old.command("NOOP")  # goes on
        # A broken file changes nothing.
        good = open(cluster.certificate).read()
        now = peer_certificate(cluster, "imaps")
        with open(cluster.certificate, "w") as out:
            out.write("no certificate\n")
        cluster.expect_error(r"error tls: ")
        cluster.frontend.signal(signal.SIGHUP)
        time.sleep(0.5)
        assert peer_certificate(cluster, "imaps") == now
        with open(cluster.certificate, "w") as out:
            out.write(good)
        cluster.frontend.signal(signal.SIGHUP)


@pytest.mark.parametrize("service,starttls,after,injected", [
    ("submission", b"STARTTLS\r\n", b"EHLO x\r\n", b"MAIL FROM:<evil@elsewhere.test>\r\n"),
    ("smtp", b"STARTTLS\r\n", b"EHLO x\r\n", b"EHLO evil\r\nMAIL FROM:<evil@elsewhere.test>\r\n"),
    ("imap", b"a STARTTLS\r\n", b"b NOOP\r\n", b"evil NOOP\r\n"),
    ("pop3", b"STLS\r\n", b"CAPA\r\n", b"USER evil\r\n"),
])
def test_starttls_injection(cluster, service, starttls, after, injected):
    """What is sent in the clear behind STARTTLS is never executed (CVE-2011-0411)."""
    with wire.Connection(cluster, service) as c:
        c.line()
        if service in ("submission", "smtp"):
            c.send(b"EHLO client\r\n")
            while c.line()[3:4] == b"-":
                pass
        c.send(starttls + injected)
        assert re.match(rb"220|a OK|\+OK", c.line())
        try:
            c.start_tls()
        except (ssl.SSLError, ConnectionError):
            return  # taken for a broken handshake: as good
        assert not c.buffer
        c.send(after)
        first = c.line()
        assert b"evil" not in first and re.match(rb"250-mail|b OK|\+OK", first), first
        c.socket.settimeout(0.5)
        rest = b""
        try:
            while True:
                rest += c.socket.recv(65536)
        except (socket.timeout, TimeoutError):
            pass
        assert b"evil" not in rest and b"2.1.0" not in rest


def test_no_password_in_the_clear(cluster, user):
    with wire.Smtp(cluster, "submission") as smtp:
        assert "AUTH" not in smtp.features
        assert smtp.command("AUTH PLAIN AGEAYg==").startswith("538 5.7.11")
        assert smtp.command("MAIL FROM:<%s>" % user).startswith("530 5.7.0")
    with wire.Imap(cluster, service="imap") as imap:
        assert b"LOGINDISABLED" in imap.greeting and b"AUTH=PLAIN" not in imap.greeting
        imap.command('LOGIN "%s" "%s"' % (user, PASSWORD), allow=("NO",))
        assert imap.code == "PRIVACYREQUIRED"
    with wire.Pop3(cluster, service="pop3") as pop:
        assert b"USER" not in pop.multiline("CAPA").split()
        assert pop.command("USER " + user).startswith("-ERR")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1")
def test_tls_versions(cluster):
    """1.2 and 1.3 only."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = wire.tls_context(cluster)
        context.minimum_version = context.maximum_version = version
        with socket.create_connection(("127.0.0.1", cluster.ports["imaps"])) as plain:
            with context.wrap_socket(plain, server_hostname=HOSTNAME) as tls:
                assert tls.recv(100).startswith(b"* OK")
    context = wire.tls_context(cluster)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", cluster.ports["imaps"])) as plain, pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(plain, server_hostname=HOSTNAME)


# ---- accounts

def test_suspended_account(cluster, user):
    cluster.ctl("user", "suspend", user)
    with wire.Smtp(cluster) as smtp:
        smtp.envelope([user])
        assert smtp.data(MESSAGE).startswith("250")
    with wire.Imap(cluster) as imap:
        imap.command('LOGIN "%s" "%s"' % (user, PASSWORD), allow=("NO",))
    cluster.ctl("user", "resume", user)
    with wire.Imap(cluster, user) as imap:
        assert imap.exists() == 1


def test_changed_password(cluster, user):
    with wire.Imap(cluster, user):
        pass  # now in the cache of verified passwords
    cluster.ctl("user", "passwd", user, "--password-stdin", stdin="another\n")
    with wire.Imap(cluster) as imap:
        imap.command('LOGIN "%s" "%s"' % (user, PASSWORD), allow=("NO",))
        assert imap.code == "AUTHENTICATIONFAILED"
        imap.command('LOGIN "%s" another' % user)


def test_imported_hashes(cluster):
    """crypt(3) and argon2 hashes of another system."""
    hashes = {}
    for method in ("sha512crypt", "yescrypt"):
        prefix = {"sha512crypt": "$6$", "yescrypt": "$y$"}[method]
        salt = prefix + ("j9T$" if method == "yescrypt" else "") + "abcdefgh"
        done = subprocess.run(["perl", "-e", "print crypt($ARGV[0], $ARGV[1])", PASSWORD, salt], capture_output=True, text=True)
        if done.returncode == 0 and done.stdout.startswith(prefix):
            hashes[method] = done.stdout
    assert hashes
    for method, text in hashes.items():
        address = "%s@%s" % (method, harness.DOMAIN)
        cluster.ctl("user", "add", address, "--password-hash", text)
        with wire.Imap(cluster, address), wire.Pop3(cluster, address), wire.Smtp(cluster, "submissions", user=address):
            pass
        with wire.Imap(cluster) as imap:
            imap.command('LOGIN "%s" wrong' % address, allow=("NO",))


def test_aliases(cluster, user, other):
    alias = "team%s@%s" % (user.split("@")[0], harness.DOMAIN)
    cluster.ctl("alias", "add", alias, user, other)
    wire.deliver(cluster, [alias, alias.replace("@", "+tag@"), user], MESSAGE)
    for address in (user, other):
        with wire.Imap(cluster, address) as imap:
            assert imap.exists() == 1
    cluster.ctl("alias", "delete", alias)
    with wire.Smtp(cluster) as smtp:
        smtp.command("MAIL FROM:<>")
        assert smtp.command("RCPT TO:<%s>" % alias).startswith("550 5.1.1")


def test_recipients(cluster, user):
    with wire.Smtp(cluster) as smtp:
        smtp.command("MAIL FROM:<>")
        assert smtp.command("RCPT TO:<nobody@%s>" % harness.DOMAIN).startswith("550 5.1.1")
        assert smtp.command("RCPT TO:<a@elsewhere.test>").startswith("550 5.7.1")
        for path in (user, user.upper(), user.replace("@", "+x@"), '"%s"@%s' % tuple(user.split("@"))):
            assert smtp.command("RCPT TO:<%s>" % path).startswith("250 2.1.5"), path
        assert smtp.data(MESSAGE).startswith("250")
    with wire.Imap(cluster, user) as imap:
        assert imap.exists() == 1
    with wire.Smtp(cluster, "submissions", user=user) as smtp:
        smtp.command("MAIL FROM:<%s>" % user)
        assert smtp.command("RCPT TO:<a@elsewhere.test>").startswith("550 5.7.1")


def test_deleted_account(cluster, user):
    wire.deliver(cluster, user, MESSAGE)
    cluster.ctl("user", "delete", user)
    with wire.Imap(cluster) as imap:
        imap.command('LOGIN "%s" "%s"' % (user, PASSWORD), allow=("NO",))
    cluster.add_user(user)
    with wire.Imap(cluster, user) as imap:
        assert imap.exists() == 0


# ---- HTTP

def test_http(cluster, user):
    wire.deliver(cluster, user, MESSAGE)
    for process in cluster.processes:
        assert process.get("/healthz")[0] == 200
        assert process.get("/readyz")[0] == 200
        assert process.get("/nothing")[0] == 404
        status, text = process.get("/metrics")
        assert status == 200
        for line in text.splitlines():
            assert re.fullmatch(r'# (HELP|TYPE) \S+ .*|[a-zA-Z_:][\w:]*(\{\w+="[^"]*"(,\w+="[^"]*")*\})? \S+', line), line
        assert "process_resident_memory_bytes" in text
        with socket.create_connection(("127.0.0.1", process.http)) as c:
            c.sendall(b"\0\xff rubbish" * 1000)
        with socket.create_connection(("127.0.0.1", process.http)) as c:
            c.sendall(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            assert re.match(rb"HTTP/1.1 (405|404)", c.recv(1000))
        assert process.get("/healthz")[0] == 200


def test_not_ready_without_director(build):
    """A front-end that never saw a map is alive and not ready."""
    cluster = harness.Cluster(build)
    try:
        cluster.frontend.start(wait_ready=False)
        wait_for(lambda: "listening" in cluster.frontend.log(), what="start")
        status = wait_for(lambda: _try(lambda: cluster.frontend.get("/readyz")), what="HTTP")
        assert status[0] == 503 and "map" in status[1]
        assert cluster.frontend.get("/healthz")[0] == 200
        with wire.Smtp(cluster) as smtp:
            smtp.command("MAIL FROM:<>")
            assert smtp.command("RCPT TO:<a@example.test>").startswith("451")
    finally:
        problems = cluster.stop()
    assert not problems, problems


def _try(call):
    try:
        return call()
    except OSError:
        return None


# ---- drain

def test_another_coordination_store(build):
    """A director over an empty store makes a new cluster; the disks of the old one are not for it, and serve again when their own is back."""
    cluster = harness.Cluster(build)
    folder, kept = cluster.path("director"), cluster.path("director-kept")
    try:
        cluster.start()
        user = cluster.add_user()
        wire.deliver(cluster, user, MESSAGE)
        cluster.director.stop()
        os.rename(folder, kept)
        cluster.director.start(wait_ready=False)
        cluster.expect_error("its disk belongs to another cluster")
        wait_for(lambda: "its disk belongs to another cluster" in cluster.storage.log(), 20, "that the node is refused")
        wire.deliver(cluster, user, MESSAGE)  # with the map that everybody has
        cluster.storage.stop()
        cluster.storage.start(wait_ready=False)
        wait_for(lambda: cluster.storage.log().count("its disk belongs to another cluster") == 2, 20, "that it is refused again")
        assert "the director refuses this node" in cluster.storage.get("/readyz")[1]
        assert "is here" not in cluster.director.log().split("0 nodes")[-1]
        cluster.director.stop()
        shutil.rmtree(folder)
        os.rename(kept, folder)
        cluster.director.start()
        cluster.storage.wait_ready()
        wire.deliver(cluster, user, MESSAGE)
        with wire.Imap(cluster, user, select="INBOX") as imap:
            assert imap.exists() == 3
    finally:
        problems = cluster.stop()
    assert not problems, problems


def test_drain(build):
    """SIGTERM: idle sessions are told, work under way is finished, nothing new is taken, the process ends by itself."""
    with harness.started(build, frontend={"drain_timeout": "10s"}) as cluster:
        user = cluster.add_user()
        idle_smtp, busy = wire.Smtp(cluster), wire.Smtp(cluster)
        plain = wire.Imap(cluster, user)
        idling = wire.Imap(cluster, user, select="INBOX")
        pop = wire.Pop3(cluster, user)
        idling.send(b"i IDLE\r\n")
        idling.line()
        busy.envelope([user])
        assert busy.command("DATA").startswith("354")
        time.sleep(0.3)
        cluster.frontend.signal(signal.SIGTERM)
        assert idle_smtp.reply().startswith("421 4.3.2")
        assert plain.line().startswith(b"* BYE")
        assert idling.line().startswith(b"* BYE")
        assert pop.line().startswith(b"-ERR [SYS/TEMP]")
        for session in (idle_smtp, plain, idling, pop):
            assert session.is_closed()
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", cluster.ports["smtp"]), 2).recv(1)
            raise ConnectionError
        busy.send(MESSAGE + b".\r\n")
        answer = busy.reply()
        assert answer.startswith(("250", "421")), answer
        assert cluster.frontend.wait(15) == 0
        cluster.frontend.start()
        with wire.Imap(cluster, user) as imap:
            assert imap.exists() == (1 if answer.startswith("250") else 0)


def test_drain_ends_in_time(build):
    """A client that never finishes is cut at drain_timeout."""
    with harness.started(build, frontend={"drain_timeout": "1s"}) as cluster:
        user = cluster.add_user()
        with wire.Smtp(cluster) as busy:
            busy.envelope([user])
            busy.command("DATA")
            busy.send(b"Subject: never ends\r\n")
            start = time.monotonic()
            cluster.frontend.signal(signal.SIGTERM)
            assert cluster.frontend.wait(10) == 0
            assert time.monotonic() - start < 6


# ---- configuration

BAD_CONFIGURATIONS = {
    "tern-frontend": [
        ('hostname = "x";\ndirectors = [ "tcp://127.0.0.1:1" ];\nhostnam = "y";\n', ":3:", "hostnam"),
        ('hostname = "x";\ndirectors = [ "tcp://127.0.0.1:1" ];\nthreads = "many";\n', ":3:", "threads"),
        ('hostname = "x";\ndirectors = [ "tcp://127.0.0.1:1" ];\nmessage_size_max = "1X";\n', ":3:", "message_size_max"),
        ('hostname = "x";\ndirectors = [ "tcp://127.0.0.1:1" ];\nthreads = 100000;\n', ":3:", "threads"),
        ('hostname = "x";\ndirectors = [ "tcp://127.0.0.1:1" ];\nlisten: {\n  smtpp = [ ];\n};\n', ":4:", "smtpp"),
        ('hostname = "x"\ndirectors = 1 2;\n', ":2:", ""),
        ('directors = [ "tcp://127.0.0.1:1" ];\n', "", "hostname"),
    ],
    "tern-storage-node": [("data = 5;\n", ":1:", "data"), ("\n\nworker = 2;\n", ":3:", "worker"),
                          ('linearizable_reads = "quorum";\n', "", "linearizable_reads")],
    "tern-director": [("partitions = 5.5;\n", ":1:", "partitions"), ("partitions = 100;\n", "", "partitions"),
                      ('coordination = "zookeeper";\n', "", "coordination")],
}


@pytest.mark.parametrize("program,text,line,key", [(p, *row) for p, rows in BAD_CONFIGURATIONS.items() for row in rows])
def test_wrong_configuration(build, tmp_path, program, text, line, key):
    path = tmp_path / "wrong.conf"
    path.write_text('user = "";\n' if not text else text)
    done = subprocess.run([os.path.join(build, "bin", program), "--config", str(path)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2, done.stderr
    assert key in done.stderr and (not line or "wrong.conf" + line in done.stderr), done.stderr


def test_shipped_configuration(build):
    """What deploy/config holds is understood, and --help names every key."""
    for program, name in (("tern-frontend", "frontend"), ("tern-storage-node", "storage-node"), ("tern-director", "director")):
        path = os.path.join(harness.ROOT, "deploy", "config", name + ".conf")
        binary = os.path.join(build, "bin", program)
        done = subprocess.run([binary, "--config", path, "--check-config", "--set", "user="], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        text = subprocess.run([binary, "--help"], capture_output=True, text=True).stdout
        for key in re.findall(r"^(\w+)\s*[=:]", open(path).read(), re.M):
            assert re.search(r"^\s*%s\b" % key, text, re.M), key


def test_missing_configuration(build):
    done = subprocess.run([os.path.join(build, "bin", "tern-frontend"), "--config", "/nonexistent.conf"], capture_output=True,
                          text=True)
    assert done.returncode == 2 and "/nonexistent.conf" in done.stderr
