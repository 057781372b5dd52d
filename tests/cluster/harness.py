# SPDX-License-Identifier: Apache-2.0
"""A private cluster of real processes: director, storage node and front-end in a temporary folder, on free loopback ports, with
certificates of a throw-away authority. Processes are known by pid and ended by pid; at the end their logs must hold neither a
sanitizer's report nor an error that the test has not announced."""
import contextlib
import fcntl
import json
import os
import random
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DOMAIN = "example.test"
HOSTNAME = "mail.example.test"
PASSWORD = "correct horse battery staple"
START_TIMEOUT = 60.0  # seconds until a process must be ready; sanitizers on a loaded machine are slow
STOP_TIMEOUT = 30.0
PORTS = range(12000, 20000)  # below what deploy/local.sh takes, and the kernel gives to clients
PORT_BLOCK = 100
CLIENT = "127.0.0.2"  # of the harness itself; no balancer (test_proxy.py)
SERVICES = ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s")

SANITIZER_REPORT = re.compile(r"ERROR: \w+Sanitizer|runtime error:|SUMMARY: \w+Sanitizer|Assertion .* failed")
ERROR_LINE = re.compile(r"^\S+Z error ")


port_locks = []  # of the blocks that are this process's; held until it ends
ports_left = []


def claim_ports():
    """A block of ports that no other run takes any of while this process lives, whether its programs run at the moment or not."""
    folder = os.path.join(tempfile.gettempdir(), "tern-test-ports")
    if not os.path.isdir(folder):
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o1777)
    blocks = list(range(PORTS.start, PORTS.stop, PORT_BLOCK))
    random.shuffle(blocks)
    for first in blocks:
        try:
            lock = os.open(os.path.join(folder, str(first)), os.O_RDWR | os.O_CREAT, 0o666)
        except PermissionError:
            continue  # another user's
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        port_locks.append(lock)
        return list(range(first, first + PORT_BLOCK))
    raise AssertionError("other runs hold all ports from %d to %d" % (PORTS.start, PORTS.stop))


def free_port():
    """A port nobody listens on and no other run will, outside the range of outgoing connections, so that a restart finds it free again."""
    while True:
        if not ports_left:
            ports_left.extend(claim_ports())
        port = ports_left.pop()
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def wait_for(condition, timeout=START_TIMEOUT, what="condition", interval=0.05):
    """The first true value of condition()."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("%s: not within %.0f s" % (what, timeout))
        time.sleep(interval)


class Authority:
    """A certificate authority that lives as long as the folder."""

    def __init__(self, folder):
        self.folder = folder
        self.file = os.path.join(folder, "ca.pem")
        self.key = os.path.join(folder, "ca.key")
        self.serial = 1
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                "/CN=Tern test authority", "-keyout", self.key, "-out", self.file)

    def issue(self, certificate, key, name=HOSTNAME):
        """Write a new certificate for `name`, localhost and 127.0.0.1."""
        request, extensions = os.path.join(self.folder, "request"), os.path.join(self.folder, "extensions")
        self.serial += 1
        with open(extensions, "w") as out:
            out.write("subjectAltName=DNS:%s,DNS:localhost,IP:127.0.0.1\n" % name)
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=" + name, "-keyout",
                key + ".new", "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.key, "-set_serial", str(self.serial), "-days",
                "2", "-extfile", extensions, "-out", certificate + ".new")
        os.rename(key + ".new", key)
        os.rename(certificate + ".new", certificate)


def openssl(*args):
    subprocess.run(("openssl",) + args, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


class Process:
    """One daemon: its command, its log, its pid, and the host it runs on (None: this one; chaos/lan.py)."""

    def __init__(self, name, command, folder, http, host=None):
        self.name, self.command, self.http, self.host = name, command, http, host
        self.log_path = os.path.join(folder, name + ".log")
        self.child = None

    def start(self, environment=None, wait_ready=True, prefix=()):
        assert self.child is None or self.child.poll() is not None, self.name + " runs already"
        with open(self.log_path, "ab") as log:
            on_host = self.host.prefix() if self.host else []
            self.child = subprocess.Popen(on_host + list(prefix) + self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          start_new_session=True, env=dict(sanitizer_environment(), **(environment or {})))
        if wait_ready:
            self.wait_ready()

    @property
    def pid(self):
        return self.child.pid

    def is_running(self):
        return self.child is not None and self.child.poll() is None

    def get(self, path):
        """(status, text) of its HTTP port."""
        try:
            with urllib.request.urlopen("http://%s:%d%s" % (address_of(self.host), self.http, path), timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name, **labels):
        """A counter or gauge of its HTTP port; 0 if there is none."""
        want = ",".join('%s="%s"' % item for item in labels.items())
        match = re.search(r"^%s%s (\d+)$" % (name, re.escape("{%s}" % want) if want else ""), self.get("/metrics")[1], re.M)
        return int(match.group(1)) if match else 0

    def is_ready(self):
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def wait_ready(self):
        def ready():
            assert self.is_running(), "%s ended at start:\n%s" % (self.name, self.log()[-2000:])
            return self.is_ready()
        wait_for(ready, what=self.name + " ready")

    def signal(self, number):
        os.kill(self.pid, number)

    def wait(self, timeout=STOP_TIMEOUT):
        """Its exit status; negative: the signal."""
        return self.child.wait(timeout)

    def kill(self):
        """As if the power had gone."""
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self):
        """In order; a second signal and then SIGKILL for what hangs. The exit status."""
        if not self.is_running():
            return self.child.returncode if self.child else 0
        self.signal(signal.SIGTERM)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(self.name + " did not end within %.0f s of SIGTERM" % STOP_TIMEOUT)

    def log(self):
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, errors="replace") as log:
            return log.read()


def address_of(host):
    return host.address if host else "127.0.0.1"


def sanitizer_environment():
    environment = dict(os.environ)
    environment.setdefault("ASAN_OPTIONS", "detect_stack_use_after_return=0:abort_on_error=0")
    environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    return environment


def conf_value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[ %s ]" % ", ".join(conf_value(v) for v in value)
    if isinstance(value, dict):
        return "{\n%s}" % conf_text(value)
    return '"%s"' % value


def conf_text(values):
    """A libconfig file."""
    return "".join("%s: %s;\n" % (k, conf_value(v)) if isinstance(v, dict) else "%s = %s;\n" % (k, conf_value(v))
                   for k, v in values.items())


class Cluster:
    """One of each program, or several storage nodes, each with a copy of everything. `storage`, `frontend` and `director`
    override or add configuration keys. With `keys` they know each other by CURVE keys in the folder "keys". `hosts`: one for each
    storage node, and `home` is this one as they see it (chaos/lan.py); else all run here."""

    host = "127.0.0.1"  # of its front-end's services

    def __init__(self, build, partitions=8, storage=None, frontend=None, director=None, storage_folder=None, storages=1,
                 keys=True, hosts=None, home=None):
        hosts = hosts or [None] * storages
        self.folder = tempfile.mkdtemp(prefix="tern-cluster-")
        os.chmod(self.folder, 0o700)
        self.build = os.path.abspath(build)
        self.authority = Authority(self.folder)
        self.certificate, self.key = self.path("tls.crt"), self.path("tls.key")
        self.authority.issue(self.certificate, self.key)
        self.ports = {name: free_port() for name in SERVICES}
        self.expected_errors = []
        self.names = 0
        endpoint = "tcp://%s:%d" % (address_of(home), free_port())
        self.ternctl = [self.program("ternctl"), "--director", endpoint]
        common = {"user": "", "log_level": os.environ.get("TERN_LOG_LEVEL", "info")}
        self.keys = self.path("keys") if keys else ""
        if keys:
            self.run(self.program("ternctl"), "keys", "generate", self.keys)
            common["keys"] = self.keys
            self.ternctl += ["--keys", self.keys]
        self.director = self._process("director", dict(common, **dict(dict(
            data=self.path("director"), listen=endpoint, partitions=partitions, copies=storages, initial_nodes=storages),
            **(director or {}))))
        self.node_endpoints = ["tcp://%s:%d" % (address_of(host), free_port()) for host in hosts]
        self.storages = []
        for n, host in enumerate(hosts, 1):
            folder = storage_folder or self.path("storage" if n == 1 else "storage-%d" % n)
            self.storages.append(self._process("storage-node", dict(common, **dict(dict(
                data=folder, listen=self.node_endpoints[n - 1], peer_listen="tcp://%s:%d" % (address_of(host), free_port()),
                beat_listen="tcp://%s:%d" % (address_of(host), free_port()), name="n%d" % n, directors=[endpoint], disk_reserve="16M"),
                **(storage or {}))), "" if n == 1 else "-%d" % n, host))
        self.storage = self.storages[0]
        self.frontend_conf = dict(
            common, hostname=HOSTNAME, threads=2, directors=[endpoint], storage_nodes=self.node_endpoints,
            listen={name: ["127.0.0.1:%d" % port] for name, port in self.ports.items()},
            tls={"certificate": self.certificate, "key": self.key}, **(frontend or {}))
        self.frontend = self._process("frontend", self.frontend_conf)
        self.processes = [self.frontend, *self.storages, self.director]  # the order of stopping

    def path(self, name):
        return os.path.join(self.folder, name)

    def program(self, name):
        return os.path.join(self.build, "bin", name)

    def _process(self, role, conf, suffix="", host=None):
        http = free_port()
        conf = dict(conf, http_listen="%s:%d" % (address_of(host), http))
        conf_path = self.path(role + suffix + ".conf")
        with open(conf_path, "w") as out:
            out.write(conf_text(conf))
        return Process(role + suffix, [self.program("tern-" + role), "--config", conf_path], self.folder, http, host)

    def start(self):
        self.director.start(wait_ready=False)
        for process in (*self.storages, self.frontend):
            process.start(wait_ready=False)
        for process in reversed(self.processes):
            process.wait_ready()
        self.ctl("domain", "add", DOMAIN)
        wait_for(lambda: self.serves(DOMAIN), what="the front-end serves " + DOMAIN)
        return self

    def serves(self, domain):
        """Whether the front-end has heard of the domain: then it says of nobody there that there is no such user."""
        try:
            with smtplib.SMTP(self.host, self.ports["smtp"], HOSTNAME, START_TIMEOUT, (CLIENT, 0)) as smtp:
                smtp.ehlo()
                smtp.mail("stranger@elsewhere.test")
                code, text = smtp.rcpt("nobody@" + domain)
                return code == 550 and text.startswith(b"5.1.1")
        except OSError:
            return False

    def ctl(self, *args, stdin=None, check=True):
        """Run ternctl. Its output, or with check=False the finished process."""
        return self.run(*self.ternctl, *args, stdin=stdin, check=check)

    def run(self, *command, stdin=None, check=True):
        """Likewise another program, with what ternctl must know in its environment."""
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60,
                              env=dict(sanitizer_environment(), TERN_KEYS=self.keys))
        if not check:
            return done
        assert done.returncode == 0, "%s: %s%s" % (" ".join(command), done.stdout, done.stderr)
        return done.stdout

    def ctl_json(self, *args):
        return json.loads(self.ctl(*args, "--json"))

    def add_user(self, name=None, password=PASSWORD, quota=None):
        """A new account; its address."""
        if name is None:
            self.names += 1
            name = "user%d" % self.names
        address = name if "@" in name else "%s@%s" % (name, DOMAIN)
        options = ["--quota", quota] if quota else []
        self.ctl("user", "add", address, "--password-stdin", *options, stdin=password + "\n")
        return address

    def expect_error(self, pattern):
        """The test provokes errors in the logs: these are allowed."""
        self.expected_errors.append(re.compile(pattern))

    def problems(self):
        """Lines of the logs that must not be there."""
        found = []
        for process in self.processes:
            for line in process.log().splitlines():
                is_bad = SANITIZER_REPORT.search(line) or ERROR_LINE.match(line)
                if is_bad and not any(e.search(line) for e in self.expected_errors):
                    found.append("%s: %s" % (process.name, line))
        return found

    def stop(self):
        """End everything; the problems found, as text. Nothing stays behind unless TERN_KEEP is set."""
        problems = []
        for process in self.processes:
            try:
                status = process.stop()
                killed = status in (-signal.SIGKILL, -signal.SIGTERM) or getattr(process, "may_fail", False)
                if status not in (0, None) and not killed:
                    problems.append("%s: exit status %d" % (process.name, status))
            except AssertionError as error:
                problems.append(str(error))
        problems += self.problems()
        if problems:
            for process in self.processes:
                problems.append("---- end of the log of %s\n%s" % (process.name, process.log()[-6000:]))
        if "TERN_KEEP" in os.environ:
            problems.append("everything was kept in " + self.folder)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        return "\n".join(problems)


@contextlib.contextmanager
def started(build, **options):
    """A started cluster; it is stopped behind the block, and its logs are judged then."""
    cluster = Cluster(build, **options)
    try:
        cluster.start()
        yield cluster
    finally:
        problems = cluster.stop()
    assert not problems, problems


def primary_of(cluster, user):
    """The process that leads the user's partition."""
    primary = cluster.ctl_json("partition", "show", user)["primary"]
    name = next(node["name"] for node in cluster.ctl_json("node", "list") if node["id"] == primary)
    return cluster.storages[int(name[1:]) - 1]  # n1, n2, n3


def whole(cluster):
    return cluster.ctl_json("cluster", "status")["partitions_below_copies"] == 0
