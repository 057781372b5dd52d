# SPDX-License-Identifier: Apache-2.0
"""The tables, the plots and the pages of the documents."""
import os
from dataclasses import dataclass

import plot
from metrics import PEERS, TERN

DOCS = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "docs")
HERE = os.path.dirname(os.path.abspath(__file__))
PLOT_MIN = 5  # fewer bars say less than the table


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
    """One of each family."""
    return "\n\n".join("## %s\n\n%s" % (family.title, table(some)) for family, some in by_family(benches))


@dataclass(frozen=True)
class Family:
    """Benches that are measured and shown together: a page of the documents, and its words in notes-*.md here."""
    title: str
    name: str
    is_own_cluster: bool

    def page(self):
        return os.path.join(DOCS, self.name + ".md")

    def notes(self):
        with open(os.path.join(HERE, "notes-%s.md" % self.name)) as file:
            return file.read()


FAMILIES = (Family("One storage node", "benchmarks", False), Family("Several storage nodes", "benchmarks-cluster", True))


def by_family(benches):
    """(family, its benches) of those that have any."""
    parts = ((family, [bench for bench in benches if bench.is_own_cluster == family.is_own_cluster]) for family in FAMILIES)
    return [part for part in parts if part[1]]


def write_page(family, benches, about):
    """The files written."""
    picture = family.name + ".svg"
    compared = [metric for bench in benches for metric in bench.metrics if metric.ratio() is not None]
    shown = len(compared) >= PLOT_MIN
    text = "\n".join(["# Benchmarks: " + family.title.lower(), "",
                      "<!-- Written by tests/bench/run.sh --write-docs; the words are in tests/bench/notes-%s.md. -->" % family.name, "",
                      table(benches), ""]
                     + (["![How many times better Tern is, and the goals](%s)" % picture, ""] if shown else [])
                     + ["## Conditions", ""] + ["- %s: %s" % item for item in about.items()] + ["", family.notes()])
    with open(family.page(), "w") as out:
        out.write(text)
    if not shown:
        return [family.page()]
    plot.draw(compared, os.path.join(DOCS, picture))
    return [family.page(), os.path.join(DOCS, picture)]


def write_docs(benches, about):
    """The files written: a page for each family."""
    return [path for family, some in by_family(benches) for path in write_page(family, some, about)]
