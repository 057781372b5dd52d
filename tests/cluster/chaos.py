#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a cluster on hosts of its own, drives mail through it, breaks it at random and checks the promises P1 to P5 and P10 on
everything that was acknowledged. Needs root (namespaces, a file system in a file). Exit status 0: no violation.

Everything happens in namespaces that end with this process, whatever becomes of it; the folder with logs and history is kept if
something was wrong, or with --keep."""
import argparse
import os
import resource
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
DOCS = os.path.join(ROOT, "docs", "reliability.md")
INSIDE = "TERN_CHAOS_INSIDE"
NAMESPACES = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]


def arguments():
    from chaos.faults import KINDS
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="faults: " + ", ".join(kind.name for kind in KINDS))
    parser.add_argument("--minutes", type=float, default=5, help="how long faults go on (5)")
    parser.add_argument("--seed", type=int, default=None, help="of the order and the victims of the faults (by the clock)")
    parser.add_argument("--faults", default="", help="only these kinds, with commas between")
    parser.add_argument("--build", default="build/release", help="folder of the build whose bin/ has the programs")
    parser.add_argument("--pace", type=float, default=1.0, help="of the clients (1: about 20 messages a second)")
    parser.add_argument("--folder", default=None, help="where to put the folder of the run; made if it is not there")
    parser.add_argument("--gaps", type=float, metavar="SECONDS", help="tell of each probe that was without service for longer")
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/reliability.md")
    options = parser.parse_args()
    names = [name for name in options.faults.split(",") if name]
    unknown = set(names) - {kind.name for kind in KINDS}
    if unknown:
        parser.error("no such fault: " + " ".join(sorted(unknown)))
    options.kinds = [kind for kind in KINDS if not names or kind.name in names]
    options.seed = int(time.time()) if options.seed is None else options.seed
    return options


def main():
    options = arguments()
    if not os.environ.get(INSIDE):
        os.environ[INSIDE] = "1"
        os.execvp(NAMESPACES[0], NAMESPACES + [sys.executable, "-B"] + sys.argv)
    from chaos import docs, runner
    if options.folder:
        os.makedirs(options.folder, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="tern-chaos-", dir=options.folder and os.path.abspath(options.folder))
    run = None
    try:
        run = runner.Run(options.build, folder, options.seed, options.kinds, options.minutes, options.pace)
        run.say("seed %d, %s" % (options.seed, folder))
        run.run()
        run.check_logs()
    finally:
        if run:
            run.close()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(run.report.table())
    if options.gaps is not None:
        print("\n".join(run.report.long_gaps(options.gaps)))
    print("notices of new mail: median %.2f s, 99 %% within %.2f s, longest %.2f s" % run.report.notices())
    print("processors used: %.2f" % ((used.ru_utime + used.ru_stime) / (time.monotonic() - run.began)))
    if options.write_docs:
        docs.write(DOCS, run, options)
    if run.violations or options.keep:
        print("everything was kept in " + folder)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    print("%d violations" % len(run.violations))
    return 1 if run.violations else 0


if __name__ == "__main__":
    sys.exit(main())
