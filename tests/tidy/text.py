#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Small things that rot: SPDX lines, include guards that match the path, files that grew out of their room, left-over marks."""
import pathlib
import re
import subprocess
import sys

LINES_MAX = 700
MARKS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def guard_of(path):
    return re.sub(r"[^A-Za-z0-9]", "_", path).upper()


def check(path):
    text = pathlib.Path(path).read_text(errors="replace")
    lines = text.splitlines()
    if not any("SPDX-License-Identifier" in line for line in lines[:3]):
        yield "no SPDX line"
    if len(lines) > LINES_MAX:
        yield f"{len(lines)} lines: split it by what each part is for"
    if path.endswith(".h") and f"#ifndef {guard_of(path)}" not in text:
        yield f"include guard is not {guard_of(path)}"
    for number, line in enumerate(lines, 1):
        if MARKS.search(line) and not path.startswith("tests/tidy/"):
            yield f"line {number}: left-over mark: {line.strip()[:60]}"


def main():
    files = subprocess.run(["git", "ls-files", "*.c", "*.h", "*.py", "*.sh"], capture_output=True, text=True, check=True).stdout.split()
    problems = [f"{path}: {problem}" for path in files for problem in check(path)]
    print("\n".join(problems))
    return 1 if problems else 0


sys.exit(main())
