# SPDX-License-Identifier: Apache-2.0
"""Postfix and Dovecot as the side to compare with: Debian's packages on loopback, configured by the files in peers/, with durable
defaults. Postfix hands over to Dovecot's LMTP, which keeps mdbox. Needs root; mail belongs to Debian's user `mail`."""
import base64
import glob
import hashlib
import hmac
import os
import shutil
import subprocess
import time

import measure
from harness import free_port, wait_for  # of tests/cluster
from metrics import PEERS

TEMPLATES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers")
SCRAM_ITERATIONS = 4096  # as Tern's accounts have by default
QUEUE_FOLDERS = ("maildrop", "incoming", "active", "deferred")
QUEUE_TIMEOUT = 120.0
QUEUE_INTERVAL = 0.02
INOTIFY_LIMIT = "/proc/sys/fs/inotify/max_user_instances"
INOTIFY_INSTANCES = 8192  # an IMAP process of Dovecot in IDLE has one; without it polls, and cannot hibernate
SETTINGS = {"fsync": "optimized", "reuse": 1, "hibernate": 0, "is_hashed": True}  # of Dovecot; `restart` may name others


def scram_sha_256(password, salt=b"tern-bench-salt!"):
    """A password as Dovecot keeps it for SCRAM-SHA-256 (RFC 5803's values)."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, SCRAM_ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    return "{SCRAM-SHA-256}%d,%s,%s,%s" % (SCRAM_ITERATIONS, *(base64.b64encode(v).decode() for v in (salt, stored, server)))


class Peers:
    name = PEERS
    domain = "example.test"
    password = "pass"

    def __init__(self, folder, certificate):
        self.folder = os.path.join(folder, "peers")
        self.certificate = certificate
        self.ports = {name: free_port() for name in ("smtp", "lmtp", "imap", "imaps", "pop3")}
        self.group = measure.Group("tern-bench-peers")
        self.known_users = set()
        self.dovecot = self.postfix = None
        self.inotify_before = measure.read_text(INOTIFY_LIMIT)
        for name in ("dovecot", "dovecot-state", "postfix", "postfix/queue", "postfix/data", "mail"):
            os.makedirs(self.path(name), exist_ok=True)
        os.chmod(self.folder, 0o755)
        shutil.chown(self.path("mail"), "mail", "mail")
        shutil.chown(self.path("postfix/data"), "postfix", "postfix")

    def path(self, name):
        return os.path.join(self.folder, name)

    def _write(self, template, name, **values):
        with open(os.path.join(TEMPLATES, template)) as file:
            text = file.read()
        for key, value in dict(values, folder=self.folder, **self.ports).items():
            text = text.replace("@%s@" % key, str(value))
        with open(self.path(name), "w") as out:
            out.write(text)

    def _popen(self, command):
        """A daemon in our control group, detached from our input."""
        with open(self.path("log"), "ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                    preexec_fn=self.group.add_self)

    def _is_open(self, *services):
        """Whether all of the ports accept connections."""
        listening = {int(line.split()[1].rsplit(":", 1)[1], 16) for line in measure.read_text("/proc/net/tcp").splitlines()[1:]
                     if line.split()[3] == "0A"}
        return listening >= {self.ports[service] for service in services}

    # ---- life

    def start(self):
        self._set_inotify_limit(max(INOTIFY_INSTANCES, int(self.inotify_before)))
        self._start_dovecot(**SETTINGS)
        self._write("main.cf.in", "postfix/main.cf")
        self._write("master.cf.in", "postfix/master.cf")
        self.postfix = self._popen(["postfix", "-c", self.path("postfix"), "start-fg"])
        wait_for(lambda: self._is_open("smtp"), what="Postfix's port (log: %s)" % self.path("log"))

    def stop(self):
        """End all processes. Problems, as text."""
        self._set_inotify_limit(self.inotify_before)
        if self.postfix:
            subprocess.run(["postfix", "-c", self.path("postfix"), "stop"], stdin=subprocess.DEVNULL, capture_output=True)
            self.postfix.wait(30)
        if self.dovecot:
            self._stop_dovecot()
        wait_for(lambda: not self.group.pids(), what="end of the peers' processes")
        self.group.remove()
        return ""

    def _set_inotify_limit(self, value):
        with open(INOTIFY_LIMIT, "w") as out:
            out.write(str(value))

    def _start_dovecot(self, fsync, reuse, hibernate, is_hashed):
        self._write("dovecot.conf.in", "dovecot.conf", certificate=self.certificate[0], key=self.certificate[1], fsync=fsync,
                    reuse=reuse, hibernate="%ds" % hibernate)
        self._write_users(is_hashed)
        self.dovecot = self._popen(["dovecot", "-F", "-c", self.path("dovecot.conf")])
        wait_for(lambda: self._is_open("imap", "imaps", "pop3", "lmtp"), what="Dovecot's ports (log: %s)" % self.path("log"))

    def _stop_dovecot(self):
        self.dovecot.terminate()
        self.dovecot.wait(30)
        wait_for(lambda: not self._is_open("imap"), what="end of Dovecot")

    def restart(self, **settings):
        """Empty caches; Dovecot with other settings than usual, if given."""
        self._stop_dovecot()
        self._start_dovecot(**dict(SETTINGS, **settings))

    # ---- as Tern has them, too

    def add_users(self, user_format, count):
        self.known_users |= {user_format % number for number in range(1, count + 1)}
        self._write_users()

    def _write_users(self, is_hashed=True):
        password = scram_sha_256(self.password) if is_hashed else "{PLAIN}" + self.password
        with open(self.path("users"), "w") as out:
            out.writelines("%s:%s\n" % (user, password) for user in sorted(self.known_users))

    def settle(self):
        """Wait until the queue is empty: everything accepted is in its mailbox."""
        end = time.monotonic() + QUEUE_TIMEOUT
        while any(self._queued(name) for name in QUEUE_FOLDERS):
            if time.monotonic() > end:
                raise TimeoutError("Postfix's queue is not empty after %.0f s (log: %s)" % (QUEUE_TIMEOUT, self.path("postfix/log")))
            time.sleep(QUEUE_INTERVAL)

    def _queued(self, name):
        """Whether a queue has a message."""
        return any(files for _, _, files in os.walk(self.path("postfix/queue/" + name)))

    def drop_index(self, user):
        """Forget Dovecot's cache of envelopes and structures of a user's INBOX."""
        for file in glob.glob(self.path("mail/%s/mdbox/mailboxes/INBOX/dbox-Mails/dovecot.index.cache*" % user.split("@")[0])):
            os.unlink(file)

    def front_pids(self):
        """All of Dovecot: a connection has processes of its own."""
        return self.group.pids()

    def back_pids(self):
        return []
