# SPDX-License-Identifier: Apache-2.0
"""Puts a run's table between two marks of docs/reliability.md."""
import datetime
import re

BEGIN, END = "<!-- table: written by tests/cluster/chaos.py -->", "<!-- end of the table -->"


def write(path, run, options):
    with open(path) as old:
        text = old.read()
    notices = "Notices of new mail in IDLE, from the sender's acknowledgement: median %.2f s, 99 %% within %.2f s, longest %.2f s." % (
        run.report.notices())
    made = "`tests/cluster/chaos.py --minutes %g --seed %d` on %s: %d violations." % (
        options.minutes, options.seed, datetime.date.today().isoformat(), len(run.violations))
    block = "\n".join([BEGIN, made, "", run.report.table(), "", notices, END])
    new, count = re.subn(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: block, text, flags=re.S)
    assert count == 1, "no place for the table in " + path
    with open(path, "w") as out:
        out.write(new)
