# SPDX-License-Identifier: Apache-2.0
"""What the system says of processes: CPU, memory, bytes written; and what it may be told: forget cached files."""
import os

CGROUP = "/sys/fs/cgroup"
TICKS = os.sysconf("SC_CLK_TCK")
SECTOR = 512


def read_text(path):
    with open(path) as file:
        return file.read()


class Group:
    """A control group of a side's processes and all their children, dead ones included in the CPU time. Of this process alone: another
    bench that runs meanwhile has its own."""

    def __init__(self, name):
        name = "%s-%d" % (name, os.getpid())
        self.is_unified = os.path.exists(os.path.join(CGROUP, "cgroup.controllers"))
        self.folder = os.path.join(CGROUP, "" if self.is_unified else "cpuacct", name)
        os.makedirs(self.folder, exist_ok=True)

    def add(self, pid):
        with open(os.path.join(self.folder, "cgroup.procs"), "w") as file:
            file.write(str(pid))

    def add_self(self):
        """For a child between fork and exec."""
        self.add(os.getpid())

    def cpu_seconds(self):
        if self.is_unified:
            fields = dict(line.split() for line in read_text(os.path.join(self.folder, "cpu.stat")).splitlines())
            return int(fields["usage_usec"]) / 1e6
        return int(read_text(os.path.join(self.folder, "cpuacct.usage"))) / 1e9

    def pids(self):
        return [int(pid) for pid in read_text(os.path.join(self.folder, "cgroup.procs")).split()]

    def remove(self):
        try:
            os.rmdir(self.folder)
        except OSError:
            pass  # a process is still leaving; an empty group does no harm


class Processes:
    """What stands in for a Group where we may not make one: a few processes that have no children."""

    def __init__(self):
        self.members, self.ended = [], 0.0

    def add(self, pid):
        """A process that has ended takes the time it used with it: add it again only after a restart, outside of measurements."""
        self.members = [member for member in self.members if os.path.exists("/proc/%d/stat" % member)] + [pid]

    def cpu_seconds(self):
        total = 0
        for pid in self.members:
            fields = read_text("/proc/%d/stat" % pid).rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])  # utime, stime
        return total / TICKS

    def pids(self):
        return list(self.members)

    def remove(self):
        pass


def make_group(name):
    try:
        return Group(name)
    except OSError:
        return Processes()


def is_privileged():
    return os.geteuid() == 0


def pss_kib(pids):
    """Proportional set size of processes, in KiB."""
    total = 0
    for pid in pids:
        try:
            lines = read_text("/proc/%d/smaps_rollup" % pid).splitlines()
        except OSError:
            continue  # it has ended
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    if pids and total == 0:
        raise PermissionError("the memory of the processes cannot be read")
    return total


def kernel_kib():
    """Memory of the kernel itself, of the whole machine: slabs, kernel stacks, page tables, socket buffers, in KiB."""
    fields = dict(line.split(":", 1) for line in read_text("/proc/meminfo").splitlines())
    total = sum(int(fields[name].split()[0]) for name in ("Slab", "KernelStack", "PageTables"))
    for line in read_text("/proc/net/sockstat").splitlines():
        words = line.split()
        if "mem" in words:
            total += int(words[words.index("mem") + 1]) * os.sysconf("SC_PAGESIZE") // 1024
    return total


def drop_slabs():
    """Let the kernel give back what it only keeps in case (root)."""
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("2")


def drop_page_cache():
    """From here on files come from the disk (root)."""
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3")


def written_bytes(pid):
    """What a process has caused to be written to disk. Works until the dead process is waited for."""
    fields = dict(line.split(": ") for line in read_text("/proc/%d/io" % pid).splitlines())
    return int(fields["write_bytes"]) - int(fields["cancelled_write_bytes"])


def device_written_bytes(folder):
    """What was written to the disk below a folder, by anyone, journal of the file system included; 0 if it has none."""
    os.sync()
    device = os.stat(folder).st_dev
    path = "/sys/dev/block/%d:%d/stat" % (os.major(device), os.minor(device))
    return int(read_text(path).split()[6]) * SECTOR if os.path.exists(path) else 0
