# SPDX-License-Identifier: Apache-2.0
"""The programs of a cluster, one a host: storage nodes with a disk of their own, directors, etcds, front-ends."""
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request

import harness
from . import lan

PORTS = {"smtp": 25, "submission": 587, "submissions": 465, "imap": 143, "imaps": 993, "pop3": 110, "pop3s": 995}
HTTP_PORT, RPC_PORT, PEER_PORT, BEAT_PORT, ETCD_PORT, ETCD_PEER_PORT = 8080, 7400, 7501, 7502, 2379, 2380
DISK_SIZE = "6G"
PARTITIONS = 16
COPIES = 3
READY_TIMEOUT = 60.0


class Program:
    """A daemon on a host."""

    def __init__(self, host, role, command, folder):
        self.host, self.name, self.role, self.command = host, host.name, role, command
        self.log_path = os.path.join(folder, self.name + ".log")
        self.child, self.started = None, 0.0
        self.is_wanted = False  # to be started again if it ends by itself

    def start(self, prefix=(), environment=None):
        assert not self.is_running(), self.name + " runs already"
        self.is_wanted, self.started = True, time.monotonic()
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(self.host.prefix() + list(prefix) + self.command, stdin=subprocess.DEVNULL, stdout=log,
                                          stderr=log, start_new_session=True,
                                          env=dict(harness.sanitizer_environment(), **(environment or {})))

    def is_running(self):
        return self.child is not None and self.child.poll() is None

    @property
    def pid(self):
        return self.child.pid

    def send(self, number):
        if self.is_running():
            os.kill(self.child.pid, number)

    def end(self, number=signal.SIGKILL, timeout=30.0):
        """Signal it and wait for its end; SIGKILL for what does not end in time. Whether it had to be killed."""
        self.is_wanted = False
        if not self.is_running():
            return False
        self.send(number)
        try:
            self.child.wait(timeout)
            return False
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            return True

    def get(self, path, timeout=1.0):
        try:
            url = "http://%s:%d%s" % (self.host.address, ETCD_PORT if self.role == "etcd" else HTTP_PORT, path)
            with urllib.request.urlopen(url, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""

    def is_ready(self):
        try:
            status, text = self.get("/health" if self.role == "etcd" else "/readyz")
            return status == 200 and (self.role != "etcd" or "true" in text)
        except OSError:
            return False

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()


class Disk:
    """A small file system in a file, so that it can be filled."""

    def __init__(self, folder, name):
        self.folder = os.path.join(folder, name)
        image = self.folder + ".img"
        os.mkdir(self.folder)
        lan.run("truncate", "-s", DISK_SIZE, image)
        lan.run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", image)
        lan.run("mount", "-o", "loop", image, self.folder)
        self.filler = os.path.join(self.folder, "filler")

    def fill(self, leave):
        """All but `leave` bytes is taken."""
        with open(self.filler, "wb") as out:
            for piece in (1 << 28, 1 << 20, 1 << 12):
                while True:
                    state = os.statvfs(self.folder)
                    if state.f_bavail * state.f_frsize < leave + piece:
                        break
                    try:
                        os.posix_fallocate(out.fileno(), os.fstat(out.fileno()).st_size, piece)
                    except OSError:  # what is said to be free is not always to be had
                        break

    def empty(self):
        if os.path.exists(self.filler):
            os.unlink(self.filler)

    def wipe(self):
        """As a new disk."""
        shutil.rmtree(os.path.join(self.folder, "data"))

    def close(self):
        lan.run("umount", self.folder)


class Programs:
    """All of them, in `folder`."""

    def __init__(self, build, folder, storages=4, directors=2, etcds=3, frontends=2):
        self.build, self.folder = os.path.abspath(build), folder
        names = ["storage-%d" % n for n in range(1, storages + 1)] + ["director-%d" % n for n in range(1, directors + 1)]
        names += ["etcd-%d" % n for n in range(1, etcds + 1)] + ["frontend-%d" % n for n in range(1, frontends + 1)]
        self.lan = lan.Lan(names)
        self.disks, self.by_name = {}, {}
        self.authority = harness.Authority(folder)
        self.authority.issue(self.path("tls.crt"), self.path("tls.key"))
        self.keys = self.path("keys")
        lan.run(self.program("ternctl"), "keys", "generate", self.keys)
        self.directors = [h for n, h in self.lan.hosts.items() if n.startswith("director")]
        self.etcds = [h for n, h in self.lan.hosts.items() if n.startswith("etcd")]
        self.endpoints = ["tcp://%s:%d" % (h.address, RPC_PORT) for h in self.directors]
        for name, host in self.lan.hosts.items():
            role = name.rsplit("-", 1)[0]
            self.by_name[name] = Program(host, role, getattr(self, "make_" + role)(host), folder)
        self.ternctl = [self.program("ternctl"), "--keys", self.keys] + [word for e in self.endpoints for word in ("--director", e)]

    def path(self, name):
        return os.path.join(self.folder, name)

    def program(self, name):
        return os.path.join(self.build, "bin", name)

    def role(self, role):
        return [p for p in self.by_name.values() if p.role == role]

    def configure(self, host, program, conf):
        conf = dict({"user": "", "keys": self.keys, "log_level": os.environ.get("TERN_LOG_LEVEL", "info"), "drain_timeout": "5s",
                     "http_listen": "%s:%d" % (host.address, HTTP_PORT)}, **conf)
        with open(self.path(host.name + ".conf"), "w") as out:
            out.write(harness.conf_text(conf))
        return [self.program(program), "--config", self.path(host.name + ".conf")]

    def make_storage(self, host):
        self.disks[host.name] = Disk(self.folder, host.name)
        return self.configure(host, "tern-storage-node", {
            "name": host.name, "data": os.path.join(self.disks[host.name].folder, "data"), "directors": self.endpoints,
            "listen": "tcp://%s:%d" % (host.address, RPC_PORT), "peer_listen": "tcp://%s:%d" % (host.address, PEER_PORT),
            "beat_listen": "tcp://%s:%d" % (host.address, BEAT_PORT), "memory_limit": "128M", "wal_size_max": "64M",
            "disk_reserve": "256M"})

    def make_director(self, host):
        etcd = {"endpoints": ["http://%s:%d" % (e.address, ETCD_PORT) for e in self.etcds]}
        return self.configure(host, "tern-director", {
            "data": self.path(host.name), "listen": "tcp://%s:%d" % (host.address, RPC_PORT), "coordination": "etcd", "etcd": etcd,
            "partitions": PARTITIONS, "copies": COPIES, "initial_nodes": len(self.disks), "repair_after": "1h"})

    def make_etcd(self, host):
        client, peer = "http://%s:%d" % (host.address, ETCD_PORT), "http://%s:%d" % (host.address, ETCD_PEER_PORT)
        cluster = ",".join("%s=http://%s:%d" % (e.name, e.address, ETCD_PEER_PORT) for e in self.etcds)
        return ["etcd", "--name", host.name, "--data-dir", self.path(host.name), "--listen-client-urls", client,
                "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", cluster, "--initial-cluster-state", "new", "--logger", "zap", "--log-level", "warn"]

    def make_frontend(self, host):
        return self.configure(host, "tern-frontend", {
            "hostname": harness.HOSTNAME, "threads": 1, "directors": self.endpoints,
            "allow_plaintext_auth": True,
            "listen": {service: ["%s:%d" % (host.address, port)] for service, port in PORTS.items()},
            "tls": {"certificate": self.path("tls.crt"), "key": self.path("tls.key")}})

    def start(self):
        for role in ("etcd", "director", "storage", "frontend"):
            for program in self.role(role):
                program.start()
        self.wait_ready(self.by_name.values())

    def wait_ready(self, programs, timeout=READY_TIMEOUT):
        """Seconds until all answer that they are ready."""
        begun = time.monotonic()
        for program in programs:
            def ready(p=program):
                assert p.is_running(), "%s ended:\n%s" % (p.name, p.log()[-2000:])
                return p.is_ready()
            harness.wait_for(ready, max(1.0, timeout - (time.monotonic() - begun)), program.name + " ready")
        return time.monotonic() - begun

    def even_share(self):
        """Copies of a storage node when all have as many."""
        return PARTITIONS * COPIES // len(self.disks)

    def ctl(self, *arguments, stdin=None, timeout=30.0):
        """The finished ternctl."""
        return subprocess.run(self.ternctl + list(arguments), input=stdin, capture_output=True, text=True, timeout=timeout)

    def close(self):
        for program in self.by_name.values():
            program.end()
        self.lan.close()
        for disk in self.disks.values():
            disk.close()
