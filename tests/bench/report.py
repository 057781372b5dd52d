# SPDX-License-Identifier: Apache-2.0
"""The table, the plot and docs/benchmarks.md."""
import os

import plot
from metrics import PEERS, TERN

DOCS = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "docs")
PAGE = "benchmarks.md"
PLOT = "benchmarks.svg"
NOTES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "notes.md")


def number(value):
    if value is None:
        return ""
    if abs(value) >= 100:
        return "{:,.0f}".format(value)
    return "%.1f" % value if abs(value) >= 10 else "%.2f" % value


def verdict(metric):
    return {None: "", True: "yes", False: "**no**"}[metric.is_met()]


def row(metric):
    ratio = metric.ratio()
    return "| %s | %s | %s | %s | %s | %s | %s |" % (
        metric.title, metric.unit, number(metric.value(TERN)), number(metric.value(PEERS)),
        "" if ratio is None else "%.1f" % ratio if ratio < 100 else "%.0f" % ratio, metric.goal or "", verdict(metric))


def table(benches):
    lines = ["| work | unit | Tern | Postfix + Dovecot | times better | goal | met |", "|---|---|--:|--:|--:|---|---|"]
    lines += [row(metric) for bench in benches for metric in bench.metrics if metric.values]
    return "\n".join(lines)


def tables(benches):
    """One of a single storage node, one of clusters."""
    parts = [("## One storage node", [bench for bench in benches if not bench.is_own_cluster]),
             ("## Several storage nodes, three copies", [bench for bench in benches if bench.is_own_cluster])]
    return "\n\n".join("%s\n\n%s" % (title, table(some)) for title, some in parts if some)


def write_docs(benches, about):
    """The files written."""
    with open(NOTES) as file:
        notes = file.read()
    text = "\n".join(["# Benchmarks", "", "<!-- Written by tests/bench/run.sh --write-docs; the words are in tests/bench/notes.md. -->", "",
                      tables(benches), "", "![How many times better Tern is, and the goals](%s)" % PLOT, "", "## Conditions", ""]
                     + ["- %s: %s" % item for item in about.items()] + ["", notes])
    page, picture = os.path.join(DOCS, PAGE), os.path.join(DOCS, PLOT)
    plot.draw([metric for bench in benches for metric in bench.metrics if metric.ratio() is not None], picture)
    with open(page, "w") as out:
        out.write(text)
    return [page, picture]
