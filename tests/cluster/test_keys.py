# SPDX-License-Identifier: Apache-2.0
"""Programs know each other by keys: strangers and wrong roles are refused at every socket, told of and counted, and cost nobody
else anything; keys are exchanged while everything runs."""
import re
import signal
import socket
import subprocess
import time

import pytest

import harness
import wire
import zmtp
from harness import wait_for
from load import ImapWriter, SmtpWriter, subjects, wait_for_mail

NODE_HELLO, CONF_CHANGE, DOMAIN_ADD, MAP = 101, 102, 103, 100  # proto/methods.h
ACCOUNT_DELETE = 4
ERR_DENIED = 4  # lib/base/err.h
ROLES = ("frontend", "storage-node", "director", "ctl")
MAY_CONNECT = {"director": ("frontend", "storage-node", "ctl"), "storage": ("frontend", "ctl"),
               "peer": ("storage-node",), "beat": ("storage-node",)}


@pytest.fixture(scope="module")
def guarded(build):
    with harness.started(build) as cluster:
        cluster.user = cluster.add_user()
        cluster.mails = 0
        yield cluster


def sockets(cluster):
    """(process, name, port, the role that serves) of each socket that is bound."""
    def port(process, key):
        with open(cluster.path(process.name + ".conf")) as conf:
            return int(re.search(r'^%s = "tcp://[0-9.]+:(\d+)";' % key, conf.read(), re.M).group(1))
    return [(cluster.director, "director", port(cluster.director, "listen"), "director"),
            (cluster.storage, "storage", port(cluster.storage, "listen"), "storage-node"),
            (cluster.storage, "peer", port(cluster.storage, "peer_listen"), "storage-node"),
            (cluster.storage, "beat", port(cluster.storage, "beat_listen"), "storage-node")]


def key_of(cluster, role):
    return zmtp.read_pair("%s/%s.key" % (cluster.keys, role))


def refused(process, name, reason):
    return process.metric("tern_connections_refused_total", socket=name, reason=reason)


def mail_flows(cluster):
    cluster.mails += 1
    wire.deliver(cluster, cluster.user, b"Subject: %d\r\n\r\nbody\r\n" % cluster.mails)
    assert len(subjects(cluster, cluster.user)) == cluster.mails


def refused_early(process, name):
    """Of one without keys, or with keys that do not fit: which end hangs up first decides how it looks."""
    return refused(process, name, "wrong_key") + refused(process, name, "handshake")


def knock(process, name, port, reason, own=None, server=None):
    """Must be refused for that reason, and get no answer."""
    before = refused(process, name, reason)
    with zmtp.Dealer(port, own, server) as stranger:
        stranger.send(*zmtp.request(MAP), b"x")
        wait_for(lambda: refused(process, name, reason) > before, 20, "%s counts %s" % (name, reason))
        assert stranger.receive(0.2) is None


@pytest.mark.parametrize("at", range(4), ids=MAY_CONNECT)
def test_strangers(guarded, at):
    process, name, port, role = sockets(guarded)[at]
    public = key_of(guarded, role)[0]
    before = refused_early(process, name)
    with zmtp.Dealer(port) as stranger:
        stranger.send(*zmtp.request(MAP), b"x")
        wait_for(lambda: refused_early(process, name) > before, 20, "one without a key counted")
        assert stranger.receive(0.2) is None
    knock(process, name, port, "wrong_key", zmtp.keypair(), zmtp.keypair()[0])
    knock(process, name, port, "unknown_key", zmtp.keypair(), public)
    before = refused_early(process, name)
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.sendall(b"GET / HTTP/1.0\r\n\r\n" + bytes(100))
        plain.settimeout(10)
        try:
            while plain.recv(1000):  # hung up on
                pass
        except ConnectionResetError:
            pass
    with socket.create_connection(("127.0.0.1", port)):
        pass
    wait_for(lambda: refused_early(process, name) > before, 20, "silence counted")
    log = process.log()
    assert re.search(r"warn keys: connection refused socket=%s address=127\.0\.0\.1\S*: its key is not on the allow-list" % name, log)
    # Of one that is gone before it is looked at, the address is not known.
    assert re.search(r"warn keys: connection refused socket=%s address=(127\.0\.0\.1:\d+|\?): it " % name, log)
    mail_flows(guarded)


def test_address_of_a_silent_stranger(guarded):
    """Who connects and says nothing is hung up on, and told with its address."""
    found = sockets(guarded)
    silent = [socket.create_connection(("127.0.0.1", port)) for _, _, port, _ in found]
    for (process, name, _, _), stranger in zip(found, silent):
        with stranger:
            stranger.settimeout(30)
            own = "127.0.0.1:%d" % stranger.getsockname()[1]
            while stranger.recv(1000):
                pass
        wait_for(lambda: re.search(r"connection refused socket=%s address=%s: it ended, kept silent" % (name, re.escape(own)), process.log()),
                 10, "%s tells of %s" % (name, own))


@pytest.mark.parametrize("at", range(4), ids=MAY_CONNECT)
def test_wrong_roles(guarded, at):
    process, name, port, serves = sockets(guarded)[at]
    for role in ROLES:
        if role not in MAY_CONNECT[name]:
            knock(process, name, port, "wrong_role", key_of(guarded, role), key_of(guarded, serves)[0])
    mail_flows(guarded)


@pytest.mark.parametrize("role,at,method", [("frontend", 0, NODE_HELLO), ("frontend", 0, CONF_CHANGE), ("frontend", 0, DOMAIN_ADD),
                                            ("ctl", 0, NODE_HELLO), ("storage-node", 0, DOMAIN_ADD), ("frontend", 1, ACCOUNT_DELETE)])
def test_wrong_methods(guarded, role, at, method):
    process, name, port, serves = sockets(guarded)[at]
    before = process.metric("tern_requests_denied_total", socket=name, role=role)
    with zmtp.Dealer(port, key_of(guarded, role), key_of(guarded, serves)[0]) as dealer:
        dealer.send(*zmtp.request(method))
        code, detail = zmtp.status(dealer.receive())
        assert code == ERR_DENIED and "a key of role %s may not call" % role in detail
        dealer.send(*zmtp.request(MAP))
        assert zmtp.status(dealer.receive())[0] == 0
    assert process.metric("tern_requests_denied_total", socket=name, role=role) == before + 1


def test_flood(guarded):
    """Hundreds of strangers are a few lines in the log."""
    process, name, port, serves = sockets(guarded)[1]
    lines, before = len(process.log().splitlines()), refused(process, name, "unknown_key")
    public = key_of(guarded, serves)[0]
    for _ in range(10):
        strangers = [zmtp.Dealer(port, zmtp.keypair(), public) for _ in range(20)]
        mail_flows(guarded)
        for stranger in strangers:
            stranger.__exit__()
    wait_for(lambda: refused(process, name, "unknown_key") >= before + 100, 20, "strangers counted")
    assert len(process.log().splitlines()) - lines < 50


def test_program_without_keys(guarded):
    """A storage node that has none cannot join; ternctl hears what is wrong."""
    folder = guarded.path("keyless")
    node = harness.Process("keyless", [
        guarded.program("tern-storage-node"), "--config", guarded.path("storage-node.conf"), "--set", "keys=", "--set",
        "data=" + folder, "--set", "listen=tcp://127.0.0.1:0", "--set", "peer_listen=tcp://127.0.0.1:0", "--set",
        "beat_listen=tcp://127.0.0.1:0", "--set", "http_listen=127.0.0.1:0"], guarded.folder, 0)
    nodes = [n["id"] for n in guarded.ctl_json("node", "list")]
    before = refused_early(guarded.director, "director")
    node.start(wait_ready=False)
    try:
        wait_for(lambda: "it has keys and we have none" in node.log() or "it hung up" in node.log(), what="told by the node")
        wait_for(lambda: refused_early(guarded.director, "director") > before, what="counted by the director")
        assert "calls this store node" not in node.log()
        assert [n["id"] for n in guarded.ctl_json("node", "list")] == nodes
    finally:
        node.stop()
    done = guarded.run(guarded.ternctl[0], "--keys", "", *guarded.ternctl[1:3], "domain", "list", check=False)
    assert done.returncode == 1 and "--keys" in done.stderr
    done = guarded.run(guarded.ternctl[0], "--keys", "/nowhere", "domain", "list", check=False)
    assert done.returncode == 1 and "/nowhere/ctl.key" in done.stderr


def test_addresses(guarded):
    """Without keys only loopback may be bound; with keys any address."""
    anywhere = "tcp://0.0.0.0:%d" % harness.free_port()
    for program, key in (("tern-director", "listen"), ("tern-storage-node", "listen"), ("tern-storage-node", "peer_listen"),
                         ("tern-storage-node", "beat_listen")):
        conf = guarded.path(program[5:] + ".conf")
        command = [guarded.program(program), "--config", conf, "--set", "keys=", "--set", "data=" + guarded.path("nothing"), "--set",
                   "http_listen="]
        for other in ("listen", "peer_listen", "beat_listen") if "storage" in program else ():
            command += ["--set", other + "=tcp://127.0.0.1:0"]
        done = subprocess.run(command + ["--set", "%s=%s" % (key, anywhere)], capture_output=True, text=True, timeout=60,
                              env=harness.sanitizer_environment())
        assert done.returncode != 0 and "loopback" in done.stderr, done.stderr
    command = [guarded.program("tern-director"), "--config", guarded.path("director.conf"), "--set", "data=" + guarded.path("other"),
               "--set", "listen=" + anywhere, "--set", "http_listen="]
    director = harness.Process("other-director", command, guarded.folder, 0)
    director.start(wait_ready=False)
    wait_for(lambda: "listening on " in director.log(), what="bound")
    assert director.stop() == 0


class Counted:
    """A writer whose failures count."""

    def run(self):
        number = 0
        with self.connect() as session:
            while not self.stopping:
                number += 1
                subject = "%s-%d" % (self.prefix, number)
                self.tried.append(subject)
                begun = time.monotonic()
                assert self.write(session, subject), subject
                self.longest = max(getattr(self, "longest", 0), time.monotonic() - begun)
                self.acknowledged.append(subject)


class CountedSmtp(Counted, SmtpWriter):
    pass


class CountedImap(Counted, ImapWriter):
    pass


def read_again(process):
    """SIGHUP, and wait until it has."""
    count = process.log().count("keys read again: they changed")
    process.signal(signal.SIGHUP)
    wait_for(lambda: process.log().count("keys read again: they changed") > count, what=process.name + " reads its keys")
    time.sleep(1.2)  # idle threads look every second


def test_rotation(build):
    """All three steps while mail comes in and is read, no request failing; a front-end started at each step finds its way."""
    with harness.started(build, storages=3) as cluster:
        rotate(cluster)


def rotate(cluster):
    user = cluster.add_user()
    old = {role: key_of(cluster, role) for role in ROLES}
    writers = [CountedSmtp(cluster, user, "smtp%d" % i) for i in range(2)] + [CountedImap(cluster, user, "imap")]

    def progress():
        goals = [len(w.acknowledged) + 5 for w in writers]
        wait_for(lambda: all(not w.is_alive() or len(w.acknowledged) >= goal for w, goal in zip(writers, goals)), 60, "progress")
        assert all(w.is_alive() for w in writers), "a request failed: %s" % [w.tried[-1] for w in writers if not w.is_alive()]
        assert cluster.ctl("domain", "list").split() == [harness.DOMAIN]

    extra = harness.free_port()
    second = harness.Process("frontend-2", [cluster.program("tern-frontend"), "--config", cluster.path("frontend.conf"), "--set",
                                            "http_listen=127.0.0.1:%d" % extra] +
                             [word for s in harness.SERVICES for word in ("--set", "listen.%s=127.0.0.1:0" % s)], cluster.folder, extra)
    try:
        progress()
        for step in (1, 2, 3):
            assert "Step %d of 3" % step in cluster.run(cluster.ternctl[0], "keys", "rotate", cluster.keys)
            progress()
            order = cluster.processes if step != 2 else cluster.processes[::-1]
            for process in order:
                read_again(process)
                progress()
            second.start()
            assert second.stop() == 0
        wait_for(lambda: harness.whole(cluster), what="every copy")
    finally:
        for writer in writers:
            writer.end()
    print("longest write: %.2f s" % max(w.longest for w in writers))
    acknowledged = [s for w in writers for s in w.acknowledged]
    wait_for_mail(cluster, user, acknowledged)
    assert sorted(subjects(cluster, user)) == sorted(acknowledged)
    for process, name, port, serves in sockets(cluster):
        role = MAY_CONNECT[name][0]
        assert key_of(cluster, serves) != old[serves] and key_of(cluster, role) != old[role]
        knock(process, name, port, "unknown_key", old[role], key_of(cluster, serves)[0])
        knock(process, name, port, "wrong_key", key_of(cluster, role), old[serves][0])


def test_interrupted_step_is_made_again(build, tmp_path):
    """Of a step that ended half-way the roles that have not made it do so, and no key is lost."""
    ternctl, folder = "%s/bin/ternctl" % build, str(tmp_path / "keys")

    def keys(verb):
        return subprocess.run([ternctl, "keys", verb, folder], check=True, capture_output=True, text=True, env=harness.sanitizer_environment()).stdout

    def read():
        return {role: open("%s/%s.key" % (folder, role)).read() for role in ROLES}

    keys("generate")
    for step in (1, 2, 3):
        before = read()
        assert "Step %d of 3" % step in keys("rotate")
        whole = read()
        for role in ROLES[1:3]:
            with open("%s/%s.key" % (folder, role), "w") as out:
                out.write(before[role])
        assert "Step %d of 3" % step in keys("rotate")
        after = read()
        assert all(after[role] == whole[role] for role in (ROLES[0], ROLES[3]))
        assert all(re.findall(r"^\w+", after[role], re.M) == re.findall(r"^\w+", whole[role], re.M) for role in ROLES)
        current = [re.search(r'^current: .*public = "([^"]+)', text, re.M).group(1) for text in after.values()]
        assert len(set(current)) == len(ROLES)
    assert keys("list").count("current") == len(ROLES)
