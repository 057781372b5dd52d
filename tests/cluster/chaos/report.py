# SPDX-License-Identifier: Apache-2.0
"""The table of a run: by kind of fault, what was acknowledged, lost, doubled, and how long users were without service."""
import statistics
import time

ACKNOWLEDGED = ("deliver", "append", "flag", "copy", "move", "expunge", "quit")


class Row:
    def __init__(self, kind):
        self.kind, self.count, self.acknowledged, self.lost, self.doubled = kind, 0, 0, 0, 0
        self.reads, self.writes, self.sends, self.healed = [], [], [], []


def gaps_of(gaps, event, op):
    """The times without service of all probes that touch this fault: (seconds, gap)."""
    since = event.ended if event.kind.since == "end" else event.begun
    return [(g["t1"] - max(g["t0"], since), g) for g in gaps if g["op"] == op and g["t1"] > since and g["t0"] < event.healed]


def longest_gap(gaps, event, op):
    return max([seconds for seconds, _ in gaps_of(gaps, event, op)] + [0.0])


def both(times):
    """Median and longest."""
    return "%.1f s, %.1f s" % (statistics.median(times), max(times))


class Report:
    def __init__(self, run, history):
        self.run, self.rows = run, {}
        self.total = Row(None)
        self.gaps = gaps = [e for e in history if e["k"] == "gap"]
        events = run.events
        for event in events:
            row = self.rows.setdefault(event.kind.name, Row(event.kind))
            row.count += 1
            row.healed.append(event.healed - event.ended)
            row.reads.append(longest_gap(gaps, event, "read"))
            row.writes.append(longest_gap(gaps, event, "write"))
            row.sends.append(longest_gap(gaps, event, "send"))
        for e in history:
            if e["k"] in ACKNOWLEDGED and e.get("ok"):
                self.total.acknowledged += 1
                row = self.row_at(e["t1"])
                if row:
                    row.acknowledged += 1
        for promise, at, _ in run.violations:
            for row in (self.total, self.row_at(at)):
                if row and promise in ("P1", "P2"):
                    row.lost += promise == "P1"
                    row.doubled += promise == "P2"
        self.times = self.notice_times(history)

    def row_at(self, at):
        for event in self.run.events:
            if at is not None and event.begun <= at <= event.healed:
                return self.rows[event.kind.name]
        return None

    def notice_times(self, history):
        """Seconds from an acknowledgement of an APPEND or a delivery to the notice of an idle session."""
        acknowledged = {}
        for e in history:
            if e["k"] == "append" and e["ok"]:
                acknowledged[e["a"], e["id"]] = e["t1"]
            elif e["k"] == "deliver" and e["ok"]:
                acknowledged.update(((account, e["id"]), e["t1"]) for account in e["to"])
        return sorted(e["t1"] - acknowledged[e["a"], e["id"]] for e in history
                      if e["k"] == "notice" and (e["a"], e["id"]) in acknowledged)

    def notices(self):
        """Median, 99th percentile and longest."""
        times = self.times or [0.0]
        return statistics.median(times), times[int(len(times) * 0.99)], times[-1]

    def table(self):
        """Markdown."""
        lines = ["| fault | times | acknowledged | lost | doubled | no reads: median, longest | no changes | no mail in | healed |",
                 "|---|---|---|---|---|---|---|---|---|"]
        for name in sorted(self.rows, key=lambda n: [r.name for r in self.run.kinds].index(n)):
            row = self.rows[name]
            lines.append("| %s | %d | %d | %d | %d | %s | %s | %s | %.1f s |" % (
                row.kind.text + (" (without service: from their start)" if row.kind.since == "end" else ""), row.count,
                row.acknowledged, row.lost, row.doubled, *[both(times) for times in (row.reads, row.writes, row.sends)],
                max(row.healed)))
        lines.append("| **in all, peace included** | %d | %d | %d | %d | | | | |" % (
            len(self.run.events), self.total.acknowledged, self.total.lost, self.total.doubled))
        return "\n".join(lines)

    def long_gaps(self, seconds):
        """A line for each fault and probe that was without service for longer, with the time as logs have it."""
        to_real, lines = time.time() - time.monotonic(), []
        for event in self.run.events:
            for op in ("read", "write", "send"):
                for lasted, gap in sorted(gaps_of(self.gaps, event, op), key=lambda found: found[1]["t0"]):
                    if lasted > seconds:
                        begun = gap["t0"] + to_real
                        lines.append("%7.1f  %sZ %s (%s): %s %s for %.1f s" % (
                            gap["t0"] - self.run.began, time.strftime("%H:%M:%S", time.gmtime(begun)) + ("%.3f" % (begun % 1))[1:],
                            event.kind.name, event.note, op, gap["a"], lasted))
        return lines

    def gaps_over(self, seconds):
        """Faults whose users waited longer."""
        return [name for name, row in self.rows.items() if max(row.reads + row.writes + row.sends) > seconds]
