# SPDX-License-Identifier: Apache-2.0
"""Runs benches on both sides in turn, keeps the raw figures, prints the table. Started by run.sh."""
import argparse
import json
import os
import shutil
import sys
import time
import traceback
from types import SimpleNamespace

import conditions
import plan as plans
import report
from metrics import TERN
from peers import Peers
from tern import Tern
from work import BENCHES

HERE = os.path.dirname(os.path.abspath(__file__))
RESULTS = os.path.join(HERE, "results")


def parse_arguments():
    names = [bench.name for bench in BENCHES]
    parser = argparse.ArgumentParser(prog="tests/bench/run.sh", description="Measure Tern beside Postfix and Dovecot.")
    parser.add_argument("names", nargs="*", metavar="NAME", choices=names + [[]], help="what to measure, of %s; all of it by default"
                        % ", ".join(names))
    parser.add_argument("--smoke", action="store_true", help="tiny amounts, Tern alone: only to see that everything works")
    parser.add_argument("--tern-only", action="store_true", help="without Postfix and Dovecot")
    parser.add_argument("--rounds", type=int, help="measure each side so often")
    parser.add_argument("--family", choices=[family.name for family in report.FAMILIES], help="all of one page of the documents")
    parser.add_argument("--write-docs", action="store_true", help="write the pages in docs and their plots")
    parser.add_argument("--build", required=True, help="folder of the build whose bin/ has the programs")
    parser.add_argument("--load", required=True, help="the load client's program")
    parser.add_argument("--work", required=True, help="folder for data; emptied first")
    arguments = parser.parse_args()
    if arguments.write_docs and (arguments.names or arguments.smoke or arguments.tern_only):
        parser.error("--write-docs needs everything of a page to be measured")
    if arguments.family:
        if arguments.names:
            parser.error("either names or --family")
        names = [bench.name for family, benches in report.by_family(BENCHES) if family.name == arguments.family for bench in benches]
    arguments.names = arguments.names or names
    return arguments


def say(text):
    print("%s %s" % (time.strftime("%H:%M:%S"), text), file=sys.stderr, flush=True)


def run_bench(bench, sides):
    """All rounds of a bench, the sides in turn, each first as often as the other."""
    sides = [side for side in sides if bench.with_peers or side.name == TERN]
    for side in sides:
        say("%s: preparing %s" % (bench.name, side.name))
        bench.prepare(side)
    metrics = {metric.key: metric for metric in bench.metrics}
    for number in range(bench.rounds):
        for side in sides[::-1] if number % 2 else sides:
            begin = time.monotonic()
            for key, value in bench.measure(side).items():
                metrics[key].add(side.name, value)
            say("%s: round %d of %d, %s (%.1f s)" % (bench.name, number + 1, bench.rounds, side.name, time.monotonic() - begin))


def run_all(arguments, plan, sides):
    """The benches, measured, and how many failed."""
    tools = SimpleNamespace(load=arguments.load, mail_folder=os.path.join(arguments.work, "mail"), build=arguments.build,
                            work=arguments.work)
    os.makedirs(tools.mail_folder, exist_ok=True)
    benches, failed = [], 0
    for make in (make for make in BENCHES if make.name in arguments.names):
        bench = make(plan, tools)
        bench.rounds = arguments.rounds or bench.rounds
        try:
            run_bench(bench, sides)
        except Exception:  # the other benches can still tell something
            traceback.print_exc()
            failed += 1
        benches.append(bench)
    return benches, failed


def save(benches, about):
    os.makedirs(RESULTS, exist_ok=True)
    path = os.path.join(RESULTS, time.strftime("%Y%m%d-%H%M%S.json"))
    with open(path, "w") as out:
        json.dump({"conditions": about, "metrics": {m.key: {"title": m.title, "unit": m.unit, "values": m.values}
                                                    for bench in benches for m in bench.metrics}}, out, indent=1)
    return path


def main():
    arguments = parse_arguments()
    plan = plans.SMOKE if arguments.smoke else plans.FULL
    shutil.rmtree(arguments.work, ignore_errors=True)
    os.makedirs(arguments.work)
    about = conditions.describe(arguments.work)
    sides, started, problems, benches, failed = [], [], [], [], 1
    try:
        sides.append(Tern(arguments.build, arguments.work))
        if not (arguments.smoke or arguments.tern_only):
            sides.append(Peers(arguments.work, sides[0].certificate))
        for side in sides:
            started.append(side)
            side.start()
        benches, failed = run_all(arguments, plan, sides)
    finally:
        for side in started:
            problems.append(side.stop())
    if not arguments.smoke:
        say("raw figures: " + save(benches, about))
        print(report.tables(benches))
        if arguments.write_docs:
            say("written: " + ", ".join(report.write_docs(benches, about)))
    problems = [problem for problem in problems if problem]
    if problems:
        print("\n".join(problems), file=sys.stderr)
        failed += 1
    if "TERN_KEEP" not in os.environ:
        shutil.rmtree(arguments.work, ignore_errors=True)
    print("%d passed, %d failed" % (max(0, len(benches) - failed), failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
