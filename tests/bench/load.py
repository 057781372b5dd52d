# SPDX-License-Identifier: Apache-2.0
"""Running the load client in load/, and what each unit of its work cost the server."""
import json
import subprocess


class LoadFailed(Exception):
    pass


def start(program, protocol, port, side, users, connections, amount, **options):
    """The client's process. `users` is a format of user names and their number, `amount` is ("units", N) or ("seconds", S)."""
    user_format, user_count = users
    command = [program, protocol, "--port", str(port), "--connections", str(connections), "--users", str(user_count), "--user-format",
               user_format, "--password", side.password, "--" + amount[0], str(amount[1])]
    for name, value in options.items():
        command += ["--" + name, str(value)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(child, side):
    """What the client reports when it ends, as a dict."""
    out, errors = child.communicate()
    if child.returncode != 0:
        raise LoadFailed("%s: %s" % (side.name, errors.strip()))
    report = json.loads(out)
    if report["failed"] or not report["units"]:
        raise LoadFailed("%s: %d of %d failed: %s" % (side.name, report["failed"], report["failed"] + report["units"], errors.strip()))
    return report


def run(program, protocol, port, side, users, connections, amount, **options):
    return finish(start(program, protocol, port, side, users, connections, amount, **options), side)
