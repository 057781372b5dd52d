# SPDX-License-Identifier: Apache-2.0
"""Two directors over three etcds: one leads, any of them may die or hang, and mail flows all the while (P10)."""
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

import harness
import wire
from harness import wait_for

TAKE_OVER = 5.0  # seconds until another director leads
ETCD_TOLD = 9.0  # until a lost member of etcd is in the status, and until a returned one is not
ETCD_LOOK = 2.0  # a look at a member takes no longer, and one may be under way when that is lost
LOADED = 3.0     # and so much more where the tests share two processors with others


class Etcd(harness.Process):
    """One etcd. Its output is its own business: only pid and port are of interest."""

    def __init__(self, number, peers, folder, client, tls=None):
        name = "etcd-%d" % number
        url = "%s://127.0.0.1:%d" % ("https" if tls else "http", client)
        super().__init__(name, [
            "etcd", "--name", name, "--data-dir", os.path.join(folder, name), "--listen-client-urls", url,
            "--advertise-client-urls", url, "--listen-peer-urls", peers[name], "--initial-advertise-peer-urls", peers[name],
            "--initial-cluster", ",".join("%s=%s" % item for item in peers.items()), "--initial-cluster-state", "new",
            "--logger", "zap", "--log-level", "warn"] + ([
                "--client-cert-auth", "--trusted-ca-file", tls["ca"], "--cert-file", tls["certificate"], "--key-file", tls["key"]]
                if tls else []), folder, client)
        self.url, self.tls = url, tls

    def is_ready(self):
        """By curl, which knows client certificates."""
        files = ["--cacert", self.tls["ca"], "--cert", self.tls["certificate"], "--key", self.tls["key"]] if self.tls else []
        done = subprocess.run(["curl", "-s", "--max-time", "2", *files, self.url + "/health"], capture_output=True, text=True)
        return "true" in done.stdout


class Directors(harness.Cluster):
    def __init__(self, build):
        endpoints = ["tcp://127.0.0.1:%d" % harness.free_port() for _ in range(2)]
        clients = [harness.free_port() for _ in range(3)]
        etcd = {"endpoints": ["http://127.0.0.1:%d" % port for port in clients]}
        super().__init__(build, director={"coordination": "etcd", "etcd": etcd})
        peers = {"etcd-%d" % n: "http://127.0.0.1:%d" % harness.free_port() for n in (1, 2, 3)}
        self.etcds = [Etcd(n, peers, self.folder, port) for n, port in zip((1, 2, 3), clients)]
        for role in ("storage-node", "frontend"):
            self.rewrite(role + ".conf", role + ".conf", r"^directors = .*$", "directors = %s;" % harness.conf_value(endpoints))
        http = harness.free_port()
        self.rewrite("director.conf", "director-2.conf", r"^listen = .*$", 'listen = "%s";' % endpoints[1])
        self.rewrite("director-2.conf", "director-2.conf", r"^http_listen = .*$", 'http_listen = "127.0.0.1:%d";' % http)
        self.rewrite("director.conf", "director.conf", r"^listen = .*$", 'listen = "%s";' % endpoints[0])
        second = harness.Process("director-2", [self.program("tern-director"), "--config", self.path("director-2.conf")],
                                 self.folder, http)
        self.directors = [self.director, second]
        self.processes = [self.frontend, *self.storages, *self.directors, *self.etcds]
        self.endpoints = endpoints
        self.ternctl = [self.program("ternctl"), "--director", endpoints[0], "--director", endpoints[1]]

    def rewrite(self, name, into, pattern, text):
        with open(self.path(name)) as conf:
            old = conf.read()
        new, count = re.subn(pattern, text, old, flags=re.M)
        assert count == 1
        with open(self.path(into), "w") as conf:
            conf.write(new)

    def start(self):
        for process in (*self.etcds, self.directors[1]):
            process.start(wait_ready=False)
        return super().start()

    def leaders(self):
        """Those that lead; one that hangs says nothing."""
        found = []
        for director in self.directors:
            try:
                with_timeout = subprocess.run(["curl", "-s", "--max-time", "1", "http://127.0.0.1:%d/metrics" % director.http],
                                              capture_output=True, text=True)
                if re.search(r"^tern_director_leads 1$", with_timeout.stdout, re.M):
                    found.append(director)
            except OSError:
                pass
        return found

    def leader(self):
        return wait_for(lambda: self.leaders() or None, what="a leader")[0]

    def problems(self):
        """etcd logs a lot of its own about deaths; only what Tern says counts."""
        etcds, self.processes = self.processes, [p for p in self.processes if p not in self.etcds]
        try:
            return super().problems()
        finally:
            self.processes = etcds


@pytest.fixture(scope="module")
def directors(build):
    if shutil.which("etcd") is None:
        pytest.skip("etcd is not installed")
    cluster = Directors(build)
    try:
        cluster.start()
        cluster.user = cluster.add_user()
        cluster.mails = 0
        yield cluster
    finally:
        for process in cluster.processes:
            if process.is_running():
                process.signal(signal.SIGCONT)
        problems = cluster.stop()
    assert not problems, problems


def mail_flows(cluster):
    cluster.mails += 1
    wire.deliver(cluster, cluster.user, b"Subject: %d\r\n\r\nbody\r\n" % cluster.mails)
    with wire.Imap(cluster, cluster.user, select="INBOX") as imap:
        assert imap.exists("INBOX") == cluster.mails


def add_domain(cluster, name):
    """With a director or etcd just gone the first try may be in doubt: a person looks, and tries again."""
    def added():
        done = cluster.ctl("domain", "add", name, check=False)
        return done.returncode == 0 or "already exists" in done.stderr
    wait_for(added, what="domain " + name)
    assert name in cluster.ctl("domain", "list").split()


def test_one_leads(directors):
    wait_for(lambda: len(directors.leaders()) == 1, what="one leader")
    add_domain(directors, "one.test")
    for endpoint in directors.endpoints:  # both show the same
        def shown():
            done = directors.run(directors.ternctl[0], "--director", endpoint, "domain", "list", check=False)
            return "one.test" in done.stdout.split()
        wait_for(shown, timeout=10, what="the domain at " + endpoint)
    mail_flows(directors)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_leader_fails(directors, how):
    old = directors.leader()
    begun = time.monotonic()
    if how == signal.SIGKILL:
        old.kill()
    else:
        old.signal(how)
    new = wait_for(lambda: [d for d in directors.leaders() if d is not old] or None, timeout=30, what="another leader",
                   interval=0.02)[0]
    assert time.monotonic() - begun < TAKE_OVER + LOADED
    mail_flows(directors)
    add_domain(directors, "after-%s.test" % how.name.lower())
    if how == signal.SIGKILL:
        old.start()
    else:
        old.signal(signal.SIGCONT)
    wait_for(lambda: directors.leaders() == [new], timeout=10, what="the new one leads alone")


def test_node_turns_to_the_other_director(directors):
    """A storage node that starts needs a director to promote it: whichever is alive will do."""
    for dead in directors.directors:
        dead.kill()
        directors.storage.kill()
        directors.storage.start()
        wait_for(lambda: directors.frontend.is_ready(), what="front-end ready")
        mail_flows(directors)
        dead.start()


def etcds_shown(cluster, endpoint):
    """What one director tells of the members of etcd: those that are well, and the problem."""
    status = json.loads(cluster.run(cluster.ternctl[0], "--director", endpoint, "cluster", "status", "--json"))
    text = [line for line in status["problems"] if "etcd at " in line]
    assert len(text) <= 1 and len(status["coordination"]) == 3
    assert all(m["unwell_ms"] == 0 and not m["why"] for m in status["coordination"] if m["well"])
    return [m["endpoint"] for m in status["coordination"] if m["well"]], text[0] if text else ""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_lost_etcd_is_told(directors, how):
    """Every director tells of it, also the one that uses another member; and no more once it is back."""
    lost = directors.etcds[2]
    urls = [etcd.url for etcd in directors.etcds]

    def shown_everywhere(well, text):
        shown = [etcds_shown(directors, endpoint) for endpoint in directors.endpoints]
        return all(found == well and bool(line) == bool(text) and text in line for found, line in shown)
    wait_for(lambda: shown_everywhere(urls, ""), timeout=30, what="all etcds are well")
    begun = time.monotonic()
    if how == signal.SIGKILL:
        lost.kill()
    else:
        lost.signal(how)
    try:
        tells_of_lost(directors, lost, begun, "connection refused" if how == signal.SIGKILL else "timed out", shown_everywhere)
    finally:
        if how == signal.SIGKILL:
            lost.start()
        else:
            lost.signal(signal.SIGCONT)
    wait_for(lambda: shown_everywhere(urls, ""), timeout=ETCD_TOLD + LOADED, what="it is back")
    assert "etcd        3 of 3 well" in directors.ctl("cluster", "status")


def tells_of_lost(directors, lost, begun, why, shown_everywhere):
    """The status, in words and in figures, of one etcd less."""
    urls = [etcd.url for etcd in directors.etcds]
    wait_for(lambda: shown_everywhere(urls[:2], "etcd at %s has not answered for" % lost.url), timeout=ETCD_TOLD + LOADED,
             what="the status tells it")
    line = ""

    def told():
        nonlocal line
        status = directors.ctl("cluster", "status")
        line = etcds_shown(directors, directors.endpoints[0])[1]
        return "healthy, but see below" in status and "etcd        2 of 3 well" in status and \
            "(%s): 2 of 3 are left, the loss of one more stops changes." % why in line
    wait_for(told, timeout=LOADED, what="and what to do")
    assert int(re.search(r"for (\d+) s", line).group(1)) <= time.monotonic() - begun + ETCD_LOOK
    for director in directors.directors:  # set once a second
        wait_for(lambda: director.metric("tern_director_coordination_members_well") == 2, timeout=LOADED, what="the figure")
        assert director.metric("tern_director_coordination_members") == 3


def test_etcd_member_fails(directors):
    for etcd in directors.etcds[:2]:
        etcd.kill()
        add_domain(directors, "without-%s.test" % etcd.name)
        mail_flows(directors)
        etcd.start()


def test_all_etcds_fail(directors):
    before = directors.ctl("domain", "list")
    for etcd in directors.etcds:
        etcd.kill()
    mail_flows(directors)
    wait_for(lambda: not directors.leaders(), timeout=30, what="nobody leads")
    begun = time.monotonic()
    assert directors.ctl("domain", "add", "refused.test", check=False).returncode != 0
    assert time.monotonic() - begun < 10
    assert directors.ctl("domain", "list") == before
    for etcd in directors.etcds:
        etcd.start(wait_ready=False)
    directors.leader()
    add_domain(directors, "healed.test")
    mail_flows(directors)


def test_etcds_put_back(directors):
    """All etcds go back to an older copy, under directors that run (R27): what the nodes have since then is not lost by it."""
    cluster, copy = directors, directors.path("etcd-copies")
    for etcd in cluster.etcds:
        etcd.stop()
    os.mkdir(copy)
    for etcd in cluster.etcds:
        shutil.copytree(cluster.path(etcd.name), os.path.join(copy, etcd.name))
        etcd.start(wait_ready=False)
    cluster.leader()
    mail_flows(cluster)

    def epochs_shown():
        return {p["partition"]: p["epoch"] for p in cluster.ctl_json("partition", "list")}
    kept = epochs_shown()
    cluster.storage.kill()  # a new epoch for every partition
    cluster.storage.may_fail = True
    cluster.storage.start()
    wait_for(lambda: all(epoch > kept[p] for p, epoch in epochs_shown().items()), 30, "every partition goes on")
    mail_flows(cluster)
    epochs = epochs_shown()
    for etcd in cluster.etcds:
        etcd.kill()
    for etcd in cluster.etcds:
        shutil.rmtree(cluster.path(etcd.name))
        shutil.copytree(os.path.join(copy, etcd.name), cluster.path(etcd.name))
        etcd.start(wait_ready=False)
    cluster.expect_error("the coordination store (was put back from a copy|is older than this disk)")

    def listed(ahead=True):
        done = cluster.ctl("partition", "recover", "--json", check=False)
        return done.returncode == 0 and sum(p["ahead"] for p in json.loads(done.stdout)) == (len(epochs) if ahead else 0)
    wait_for(listed, timeout=60, what="every partition is ahead of the store")
    mail_flows(cluster)

    def recovered():
        done = cluster.ctl("partition", "recover", "--all", check=False)
        assert done.returncode == 0 or "ask again" in done.stderr, done.stderr
        return done.returncode == 0
    wait_for(recovered, timeout=60, what="the recovery", interval=0.5)
    wait_for(lambda: listed(False), timeout=30, what="nothing is ahead of the store")
    assert all(p["epoch"] > epochs[p["partition"]] for p in cluster.ctl_json("partition", "list"))
    wait_for(lambda: not cluster.ctl_json("cluster", "status")["problems"], timeout=30, what="all is well")
    mail_flows(cluster)
    cluster.storage.kill()  # and the next epoch reaches everybody
    cluster.storage.start()
    wait_for(lambda: cluster.frontend.is_ready(), what="front-end ready")
    mail_flows(cluster)


class OverTls(harness.Cluster):
    """One director over one etcd that asks for certificates, of the cluster's own authority."""

    def __init__(self, build):
        client = harness.free_port()
        etcd = {"endpoints": ["https://127.0.0.1:%d" % client]}
        super().__init__(build, director={"coordination": "etcd", "etcd": etcd})
        self.files = {"ca": self.authority.file, "certificate": self.path("director.pem"), "key": self.path("director.pem.key")}
        self.authority.issue(self.files["certificate"], self.files["key"], "director")
        self.set_files(self.files)
        self.etcd = Etcd(1, {"etcd-1": "http://127.0.0.1:%d" % harness.free_port()}, self.folder, client,
                         {"ca": self.authority.file, "certificate": self.certificate, "key": self.key})

    def set_files(self, files):
        with open(self.path("director.conf")) as conf:
            text = re.sub(r'^(ca|certificate|key) = ".*";\n', "", conf.read(), flags=re.M)
        lines = "".join('%s = "%s";\n' % item for item in files.items())
        with open(self.path("director.conf"), "w") as conf:
            conf.write(re.sub(r"^endpoints = ", lines + "endpoints = ", text, flags=re.M))

    def start(self):
        self.etcd.start()
        return super().start()

    def stop(self):
        try:
            return super().stop()
        finally:
            self.etcd.stop()


def test_etcd_over_tls(build):
    """Mutual TLS: the director comes in with a certificate of the authority, and not without or with another's; and it does not
    speak to an etcd whose certificate is not of the authority."""
    if shutil.which("etcd") is None:
        pytest.skip("etcd is not installed")
    cluster = OverTls(build)
    try:
        cluster.start()
        cluster.user = cluster.add_user()
        wire.deliver(cluster, cluster.user, b"Subject: tls\r\n\r\nbody\r\n")
        os.mkdir(cluster.path("stranger"))
        stranger = harness.Authority(cluster.path("stranger"))
        other = {"certificate": cluster.path("other.pem"), "key": cluster.path("other.key")}
        stranger.issue(other["certificate"], other["key"], "director")
        cluster.expect_error("etcd|coordination|cannot use|cannot start")
        for files in ({"ca": cluster.authority.file}, dict(other, ca=cluster.authority.file), dict(cluster.files, ca=stranger.file)):
            cluster.director.stop()
            cluster.set_files(files)
            cluster.director.may_fail = True
            cluster.director.start(wait_ready=False)
            time.sleep(2.0)
            assert not cluster.director.is_ready(), files
        cluster.director.stop()
        cluster.set_files(cluster.files)
        cluster.director.start()
        wait_for(lambda: cluster.ctl("domain", "list", check=False).stdout.split() == [harness.DOMAIN], what="the domain again")
        wait_for(lambda: [m["well"] for m in cluster.ctl_json("cluster", "status")["coordination"]] == [True], what="etcd is well")
    finally:
        problems = cluster.stop()
    assert not problems, problems
