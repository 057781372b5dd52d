# SPDX-License-Identifier: Apache-2.0
"""P9 at the disk: writes that fail, and disks that are nearly full."""
import os
import re
import shutil
import subprocess
import tempfile
import threading

import pytest

import conftest
import harness
import wire
from harness import wait_for
from load import numbered, subjects


@pytest.fixture
def fragile(build):
    """A cluster whose storage node may end with an error."""
    yield from conftest.run_cluster(build)


@pytest.mark.parametrize("error,call", [("EIO", "fsync,fdatasync"), ("EIO", "write,pwrite64"), ("ENOSPC", "fdatasync")])
def test_p9_failed_write_or_fsync_ends_the_process(fragile, error, call):
    """The disk says no once: the storage node ends rather than guess, and nothing acknowledged is lost."""
    cluster, user = fragile, fragile.add_user()
    for i in range(3):
        wire.deliver(cluster, user, numbered("before%d" % i))
    cluster.storage.kill()
    # LeakSanitizer cannot work under ptrace.
    cluster.storage.start({"ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0"})
    data = cluster.path("storage")
    arguments = ["-e", "inject=%s:error=%s" % (call, error)]
    if "write" in call:
        arguments += ["-P", newest_log(data)]
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=" + call] + arguments +
                              ["-p", str(cluster.storage.pid)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    cluster.expect_error(".")  # the node says what happened; the front-end may too
    cluster.storage.may_fail = True
    delivery = threading.Thread(target=wire.deliver, args=(cluster, user, numbered("during")), kwargs={"may_wait": True})
    try:
        wait_for(lambda: is_traced(cluster.storage.pid), what="strace to attach")
        delivery.start()
        wait_for(lambda: not cluster.storage.is_running(), 30, "the end of the storage node")
    finally:
        tracer.kill()
        tracer.wait()
    assert cluster.storage.child.returncode != 0
    log = cluster.storage.log()
    assert re.search(r"Z error ", log), log[-2000:]
    assert not harness.SANITIZER_REPORT.search(log), log[-3000:]
    cluster.storage.start()
    delivery.join(60)  # the front-end has tried again: once
    # Its answer may have been that of the queue, which delivers a moment later.
    wait_for(lambda: len(subjects(cluster, user)) >= 4, what="mail from the queue")
    assert subjects(cluster, user) == ["before0", "before1", "before2", "during"]


def is_traced(pid):
    """Whether a debugger has hold of every thread."""
    try:
        for thread in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/status" % (pid, thread)) as status:
                if re.search(r"^TracerPid:\s*0$", status.read(), re.M):
                    return False
        return True
    except FileNotFoundError:  # a thread has ended meanwhile: look again
        return False


def newest_log(data):
    """RocksDB's write-ahead log."""
    logs = [name for name in os.listdir(data) if re.fullmatch(r"\d+\.log", name)]
    return os.path.join(data, max(logs, key=lambda name: int(name.split(".")[0])))


@pytest.fixture
def small_disk():
    """A file system of 200 MB of its own."""
    folder = tempfile.mkdtemp(prefix="tern-disk-")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", folder], capture_output=True).returncode == 0
    if not mounted:
        shutil.rmtree(folder)
        pytest.skip("cannot mount a file system here (not root?)")
    yield folder
    subprocess.run(["umount", "-l", folder])
    shutil.rmtree(folder, ignore_errors=True)


def test_p9_full_disk_refuses_mail_but_reads_and_deletes(build, small_disk):
    with harness.started(build, storage_folder=os.path.join(small_disk, "storage"),
                         storage={"disk_reserve": "60M", "wal_size_max": "16M", "memory_limit": "64M"}) as cluster:
        user = cluster.add_user()
        with wire.Imap(cluster, user) as imap:
            imap.append("INBOX", numbered("first"))
        filler = os.path.join(small_disk, "filler")
        with open(filler, "wb") as out:
            free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
            out.write(bytes(free - (50 << 20)))

        def is_refused():
            with wire.Smtp(cluster) as smtp:
                smtp.command("MAIL FROM:<a@b.test>")
                answer = smtp.command("RCPT TO:<%s>" % user)
                if answer.startswith("250"):
                    answer = smtp.data(numbered("more"))
                assert answer.startswith(("250", "452 4.3.1")), answer
                return answer.startswith("4")

        wait_for(is_refused, 20, "refusal of mail on a full disk")
        with wire.Imap(cluster, user, select="INBOX") as imap:
            imap.append("INBOX", numbered("append"), allow=("NO",))
            assert imap.code == "UNAVAILABLE"
            got = imap.fetch("1:*", "(ENVELOPE BODY.PEEK[])")
            assert got[1]["BODY[]"] == numbered("first")
            imap.command(r"STORE 1 +FLAGS (\Deleted)")  # deleting works
            imap.command("EXPUNGE")
            assert len(got) - 1 == imap.exists()
        os.unlink(filler)
        wait_for(lambda: not is_refused(), 30, "mail taken again")


def test_p9_start_on_a_full_disk(build, small_disk):
    """A node that finds no room says so and ends; with room it goes on with all it had."""
    with harness.started(build, storage_folder=os.path.join(small_disk, "storage"), storage={"disk_reserve": "10M"}) as cluster:
        user = cluster.add_user()
        wire.deliver(cluster, user, numbered("kept"))
        cluster.storage.kill()
        filler = os.path.join(small_disk, "filler")
        with open(filler, "wb") as out:
            out.write(bytes(os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize - (1 << 20)))
        cluster.storage.start(wait_ready=False)
        assert cluster.storage.child.wait(timeout=20) == 1
        cluster.expect_error("is full")
        cluster.expect_error("out of disk space")
        os.unlink(filler)
        cluster.storage.start()
        with wire.Imap(cluster, user, select="INBOX") as imap:
            wait_for(lambda: imap.fetch("1", "BODY.PEEK[]")[1]["BODY[]"].endswith(numbered("kept")), 20, "the message")


def set_reserve(process, *settings):
    process.stop()
    process.command = [*process.command[:3], *settings]
    process.start()


def test_p9_full_disk_gives_copies_away(build):
    """One of four disks is short of room: its copies go, one after the other, to the node that can hold more, and no mail is lost."""
    with harness.started(build, storages=4, director={"copies": 3}) as cluster:
        users = [cluster.add_user() for _ in range(4)]
        for user in users:
            wire.deliver(cluster, user, numbered("first"))

        def members():
            node = next(node for node in cluster.ctl_json("node", "list") if node["name"] == "n4")
            return node["members"] if node["learners"] == 0 else None

        wait_for(lambda: harness.whole(cluster) and members() is not None, what="every copy")
        before = members()
        assert before > 2
        set_reserve(cluster.storages[3], "--set", "disk_reserve=1000T")
        wait_for(lambda: any("gives copies away" in text for text in cluster.ctl_json("cluster", "status")["problems"]), 30, "that a disk is full")
        wait_for(lambda: members() is not None and members() <= before - 2, 90, "copies given away")
        wait_for(lambda: harness.whole(cluster), 30, "all copies")
        for user in users:
            with wire.Imap(cluster, user, select="INBOX") as imap:
                assert imap.exists() == 1


def test_p9_full_disks_of_backups(build):
    """One of three disks is short of room: mail flows. Two are: it is refused, though the primary has room; all else goes on."""

    def told():
        return [text for text in cluster.ctl_json("cluster", "status")["problems"] if "disk_reserve" in text]

    def is_refused(user):
        with wire.Smtp(cluster) as smtp:
            smtp.envelope([user])
            answer = smtp.data(numbered("more"))
            assert answer.startswith(("250", "452 4.3.1")), answer
            return answer.startswith("4")

    with harness.started(build, storages=3) as cluster:
        users = [cluster.add_user() for _ in range(4)]
        for user in users:
            wire.deliver(cluster, user, numbered("first"))
        set_reserve(cluster.storages[2], "--set", "disk_reserve=1000T")
        wait_for(lambda: len(told()) == 1, 30, "that a disk is full")
        for _ in range(3):
            assert not any([is_refused(user) for user in users])
        wait_for(lambda: all(n["primaries"] == 0 for n in cluster.ctl_json("node", "list") if n["name"] == "n3"), 20, "its seats given away")
        set_reserve(cluster.storages[1], "--set", "disk_reserve=1000T")
        wait_for(lambda: len(told()) == 2, 30, "that two disks are full")
        wait_for(lambda: all([is_refused(user) for user in users]), 20, "refusal of mail")
        for user in users:
            with wire.Imap(cluster, user, select="INBOX") as imap:
                imap.append("INBOX", numbered("append"), allow=("NO",))
                assert imap.code == "UNAVAILABLE"
                imap.command(r"STORE 1 +FLAGS (\Deleted)")
                imap.command("EXPUNGE")
        set_reserve(cluster.storages[1])
        wait_for(lambda: not any([is_refused(user) for user in users]), 30, "mail taken again")
