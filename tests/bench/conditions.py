# SPDX-License-Identifier: Apache-2.0
"""Where and with what was measured."""
import os
import platform
import subprocess
import time

import measure
import tern


def output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def cpu_model():
    for line in measure.read_text("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def memory_gib():
    return int(measure.read_text("/proc/meminfo").split()[1]) / (1 << 20)


def commit():
    dirty = output("git", "status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/benchmarks*")
    return output("git", "rev-parse", "--short=12", "HEAD") + (" with changes" if dirty else "")


def package(name):
    return output("dpkg-query", "-W", "-f=${Version}", name) or "not installed"


def describe(folder):
    """Conditions by name, in the order of showing."""
    return {
        "Date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "Commit": commit(),
        "CPU": "%d x %s" % (os.cpu_count(), cpu_model()),
        "Memory": "%.0f GiB" % memory_gib(),
        "Kernel": platform.release(),
        "File system": output("findmnt", "-n", "-o", "FSTYPE,SOURCE", "-T", folder) or output("stat", "-f", "-c", "%T", folder),
        "Load before the start": "%.2f (1 minute)" % os.getloadavg()[0],
        "Between Tern's programs": "CURVE" if tern.KEYS else "no keys (TERN_BENCH_KEYS=0)",
        "Postfix": package("postfix"),
        "Dovecot": package("dovecot-core"),
    }
