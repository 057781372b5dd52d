# SPDX-License-Identifier: Apache-2.0
"""A bar for each metric that both sides have: how many times better Tern is, with its goal."""
from metrics import Times

BAR_HEIGHT = 0.24  # inches
COLOURS = {True: "#2a7f62", False: "#b5452c", None: "#8a8f98"}  # goal met, missed, none


def draw(metrics, path):
    import matplotlib
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "tern"  # the same picture from the same figures
    matplotlib.rcParams["svg.fonttype"] = "none"
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter

    ratios = [metric.ratio() for metric in metrics]
    rows = range(len(metrics))
    figure, axes = pyplot.subplots(figsize=(9, 1.2 + BAR_HEIGHT * len(metrics)))
    axes.barh(rows, [ratio - 1 for ratio in ratios], left=1, color=[COLOURS[metric.is_met()] for metric in metrics], height=0.7)
    for place, metric in enumerate(metrics):
        if isinstance(metric.goal, Times):
            axes.plot([metric.goal.factor] * 2, [place - 0.45, place + 0.45], color="black", linewidth=1.5)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: "%g" % value))
    axes.set_yticks(list(rows), [metric.title for metric in metrics], fontsize=8)
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=0.8)
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel("times better than Postfix + Dovecot (marks: goals; green: met, red: missed, grey: no goal)")
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
