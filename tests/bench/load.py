# SPDX-License-Identifier: Apache-2.0
"""Running the load client in load/, and what each unit of its work cost the server."""
import json
import subprocess


class LoadFailed(Exception):
    pass


def run(program, protocol, port, side, users, connections, amount, **options):
    """What the client reports, as a dict. `users` is a format of user names and their number, `amount` is ("units", N) or ("seconds", S)."""
    user_format, user_count = users
    command = [program, protocol, "--port", str(port), "--connections", str(connections), "--users", str(user_count), "--user-format",
               user_format, "--password", side.password, "--" + amount[0], str(amount[1])]
    for name, value in options.items():
        command += ["--" + name, str(value)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise LoadFailed("%s: %s" % (side.name, done.stderr.strip()))
    report = json.loads(done.stdout)
    if report["failed"] or not report["units"]:
        raise LoadFailed("%s: %d of %d failed: %s" % (side.name, report["failed"], report["failed"] + report["units"],
                                                      done.stderr.strip()))
    return report
