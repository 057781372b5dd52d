#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the documents name exists: links and anchors, paths and identifiers in backticks, configuration keys and ternctl's commands in the
manual pages, every decision in its index, every document that a comment points at."""
import pathlib
import re
import subprocess
import sys

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```.*?^```", re.M | re.S)
# `name` in `file`, `name` (`file`): the file must have the name.
NAME_IN_FILE = re.compile(r"`(\w+)`,?(?: in| \(|, \(|\()\s?`([\w./-]+\.[a-z]+)`")
IDENTIFIER = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
WORD = re.compile(r"\w+")
SOURCES = ("*.c", "*.h", "*.proto", "*.py", "*.sh", "*.conf", "*.pml", "*.cmake", "CMakeLists.txt", "**/CMakeLists.txt")
MANUALS = {  # page: where its keys are
    "docs/man/tern-frontend.8": "frontend/config.c",
    "docs/man/tern-storage-node.8": "storage-node/config.c",
    "docs/man/tern-director.8": "director/main.c",
}
COMMON_KEYS = "lib/ops/program.h"
COMMANDS, COMMANDS_PAGE = "ctl/commands.c", "docs/man/ternctl.1"


def tracked(*patterns):
    names = subprocess.run(["git", "ls-files", "--", *patterns], capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in names if pathlib.Path(name).exists()]


def read(path):
    return pathlib.Path(path).read_text(errors="replace")


def anchors(text):
    """The anchors that GitHub makes of headings."""
    for heading in re.findall(r"^#+ +(.*)$", FENCE.sub("", text), re.M):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def check_links(path, text):
    for target in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = pathlib.Path(path).parent / name if name else pathlib.Path(path)
        if not file.exists():
            yield f"link to {target}: there is no such file"
        elif anchor and anchor not in anchors(read(file)):
            yield f"link to {target}: there is no such heading"


class Tree:
    def __init__(self):
        files = tracked()
        self.top = {name.split("/", 1)[0] for name in files}
        self.words = {"Tern"}
        for name in tracked(*SOURCES):
            self.words.update(WORD.findall(read(name)))

    def is_path(self, text):
        return text.split("/", 1)[0] in self.top and ("/" in text or "." in text) and not text.endswith(".pb-c.h")

    def has_path(self, text):
        text = text.rstrip("/").split(":", 1)[0]
        return any(pathlib.Path().glob(text)) if "*" in text else pathlib.Path(text).exists()


def check_code(text, tree):
    for code in CODE.findall(FENCE.sub("", text)):
        first = code.split()[0]
        if tree.is_path(first) and not tree.has_path(first):
            yield f"`{code}`: there is no such path"
        elif IDENTIFIER.fullmatch(code) and code not in tree.words:
            yield f"`{code}`: no source has this name"
    for name, file in NAME_IN_FILE.findall(text):
        if tree.is_path(file) and tree.has_path(file) and not re.search(rf"\b{name}\b", read(file)):
            yield f"`{name}` is not in {file}"
    for block in FENCE.findall(text):
        for command in re.findall(r"^(?:\w+=\S+ )*((?:tests|deploy)/[\w./-]+)", block, re.M):
            if not tree.has_path(command):
                yield f"command {command}: there is no such path"


def keys_of(source):
    return set(re.findall(r'(?:CONFIG_KEY_|KEY_)[A-Z]+\((?:[^()"]|\n)*?"([\w.]+)"', read(source)))


def check_manuals():
    common = keys_of(COMMON_KEYS)
    for page, source in MANUALS.items():
        there, wanted = set(re.findall(r"^\.It Ic (\S+)$", read(page), re.M)), keys_of(source) | common
        yield from (f"{page}: key {key} is missing" for key in sorted(wanted - there))
        yield from (f"{page}: key {key} is not in {source}" for key in sorted(there - wanted))
    there = set(re.findall(r"^\.It Ic (\w+ \w+)", read(COMMANDS_PAGE), re.M))
    wanted = {f"{noun} {verb}" for noun, verb in re.findall(r'^\s*\{ "(\w+)", "(\w+)"', read(COMMANDS), re.M)}
    yield from (f"{COMMANDS_PAGE}: command {command} is missing" for command in sorted(wanted - there))
    yield from (f"{COMMANDS_PAGE}: command {command} is not in {COMMANDS}" for command in sorted(there - wanted))


def check_decisions():
    index = read("docs/adr/README.md")
    for path in tracked("docs/adr/[0-9]*.md"):
        name = pathlib.Path(path).name
        if f"({name})" not in index:
            yield f"docs/adr/README.md: {name} is missing"
        for part in ("Context", "Decision", "Rejected", "Consequences"):
            if f"## {part}" not in read(path):
                yield f"{path}: no part {part}"


def check_comments():
    for path in tracked("*.c", "*.h"):
        for name in re.findall(r"\bdocs/[\w/-]+\.md\b", read(path)):
            if not pathlib.Path(name).exists():
                yield f"{path}: names {name}, which does not exist"


def main():
    tree, problems = Tree(), []
    for path in tracked("*.md"):
        text = read(path)
        problems += [f"{path}: {problem}" for problem in (*check_links(path, text), *check_code(text, tree))]
    problems += [*check_manuals(), *check_decisions(), *check_comments()]
    print("\n".join(problems))
    return 1 if problems else 0


sys.exit(main())
