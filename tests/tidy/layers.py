#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check every #include of our own headers against layers.txt, refuse private headers of other folders, and find include cycles."""
import pathlib
import re
import subprocess
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def read_layers():
    layers = {}
    for line in pathlib.Path("layers.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, edges = line.split(":", 1)
            layers[name.strip()] = set(edges.split())
    return layers


def layer_of(path, layers):
    """The longest layer that is a parent folder of the file."""
    parent = str(pathlib.PurePosixPath(path).parent)
    while parent not in layers:
        if "/" not in parent:
            return None
        parent = parent.rsplit("/", 1)[0]
    return parent


def find_cycle(graph):
    state = {}

    def visit(node, trail):
        if state.get(node) == "done":
            return None
        if state.get(node) == "open":
            return trail[trail.index(node):] + [node]
        state[node] = "open"
        for after in graph.get(node, ()):
            cycle = visit(after, trail + [node])
            if cycle:
                return cycle
        state[node] = "done"
        return None

    for node in list(graph):
        cycle = visit(node, [])
        if cycle:
            return cycle
    return None


def main():
    layers = read_layers()
    files = subprocess.run(["git", "ls-files", "*.c", "*.h"], capture_output=True, text=True, check=True).stdout.split()
    problems, graph = [], {}
    for path in files:
        own = layer_of(path, layers)
        for header in INCLUDE.findall(pathlib.Path(path).read_text(errors="replace")):
            if header.endswith(".pb-c.h"):
                target = "proto"
            else:
                target = layer_of(header, layers)
                graph.setdefault(path, []).append(header)
            if own is None or path.startswith("tests/"):
                continue  # tests see everything
            if target != own and target not in layers[own]:
                problems.append(f"{path}: includes {header}, but layers.txt does not let {own} call {target}")
            if header.endswith("_priv.h") and target != own:
                problems.append(f"{path}: includes the private header {header} of {target}")
    cycle = find_cycle(graph)
    if cycle:
        problems.append("include cycle: " + " -> ".join(cycle))
    print("\n".join(problems))
    return 1 if problems else 0


sys.exit(main())
