# SPDX-License-Identifier: Apache-2.0
"""The mail programs of Debian against the running cluster, all over TLS with the certificate checked."""
import email
import os
import re
import shlex
import subprocess
import time

import pytest

import wire
from harness import HOSTNAME, PASSWORD, wait_for

MESSAGE = (b"From: Alice <alice@example.test>\r\nTo: Bob <bob@example.test>\r\nSubject: %s\r\nDate: Fri, 20 Nov 2026 10:00:00 +0100\r\n"
           b"Message-ID: <%s@client.test>\r\n\r\nBody of %s.\r\n.dot\r\n")


def message(name):
    name = name.encode()
    return MESSAGE % (name, name, name)


def run(command, cwd=None, home=None, stdin=b"", check=True, timeout=60):
    environment = dict(os.environ, LC_ALL="C.UTF-8")
    if home:
        environment["HOME"] = str(home)
    done = subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, env=environment, timeout=timeout)
    if check:
        assert done.returncode == 0, "%s\n%s\n%s" % (" ".join(map(shlex.quote, command)), done.stdout.decode(errors="replace"),
                                                   done.stderr.decode(errors="replace"))
    return done


def body_of(data):
    return data.split(b"\r\n\r\n", 1)[1]


# ---- curl

@pytest.fixture
def curl(cluster, user):
    def call(url, *options, **more):
        return run(["curl", "--silent", "--show-error", "--ssl-reqd", "--cacert", cluster.authority.file, "--user",
                    "%s:%s" % (user, PASSWORD), url] + list(options), **more).stdout
    return call


def test_curl(cluster, user, curl, tmp_path):
    source = tmp_path / "message"
    source.write_bytes(message("curl"))
    for url in ("smtp://localhost:%d" % cluster.ports["submission"], "smtps://localhost:%d" % cluster.ports["submissions"]):
        curl(url, "--mail-from", user, "--mail-rcpt", user, "--upload-file", str(source))
    for url in ("imap://localhost:%d" % cluster.ports["imap"], "imaps://localhost:%d" % cluster.ports["imaps"]):
        assert b"* LIST " in curl(url) and b"INBOX" in curl(url)
        got = curl(url + "/INBOX;MAILINDEX=2")
        assert got.endswith(message("curl"))
        assert curl(url + "/INBOX?SUBJECT%20curl").strip() == b"* SEARCH 1 2"
        curl(url + "/Archive", "--upload-file", str(source))
        assert b"Subject: curl" in curl(url + "/Archive;MAILINDEX=1;SECTION=HEADER.FIELDS%20(SUBJECT)")
    assert b"EXISTS" in curl("imaps://localhost:%d" % cluster.ports["imaps"], "--request", "EXAMINE Archive")
    for url in ("pop3://localhost:%d" % cluster.ports["pop3"], "pop3s://localhost:%d" % cluster.ports["pop3s"]):
        assert len(curl(url).splitlines()) == 2
        assert curl(url + "/1").endswith(message("curl"))


# ---- swaks

@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks(cluster, user, mechanism):
    done = run(["swaks", "--server", "localhost", "--port", str(cluster.ports["submission"]), "--tls", "--tls-verify",
                "--tls-ca-path", cluster.authority.file, "--auth", mechanism, "--auth-user", user, "--auth-password", PASSWORD,
                "--from", user, "--to", user, "--h-Subject", "swaks " + mechanism, "--body", "hello", "--attach", "@/etc/hostname"])
    assert b"250 2.0.0 delivered" in done.stdout
    run(["swaks", "--server", "localhost", "--port", str(cluster.ports["submissions"]), "--tls-on-connect", "--pipeline", "--auth",
         mechanism, "--auth-user", user, "--auth-password", PASSWORD, "--from", user, "--to", user])
    with wire.Imap(cluster, user, select="INBOX") as imap:
        assert imap.command("SEARCH SUBJECT swaks") == [b"* SEARCH 1"]
        assert imap.exists() == 2


def test_swaks_relay_is_denied(cluster):
    done = run(["swaks", "--server", "localhost", "--port", str(cluster.ports["smtp"]), "--from", "a@elsewhere.test", "--to",
                "b@elsewhere.test"], check=False)
    assert done.returncode != 0 and b"550 5.7.1 relaying denied" in done.stdout


# ---- msmtp

def test_msmtp(cluster, user, tmp_path):
    conf = tmp_path / "msmtprc"
    for port, starttls in ((cluster.ports["submission"], "on"), (cluster.ports["submissions"], "off")):
        conf.write_text("account default\nhost localhost\nport %d\nfrom %s\nauth scram-sha-256\nuser %s\npassword %s\ntls on\n"
                        "tls_starttls %s\ntls_trust_file %s\n" % (port, user, user, PASSWORD, starttls, cluster.authority.file))
        conf.chmod(0o600)
        run(["msmtp", "--file", str(conf), user], stdin=message("msmtp").replace(b"\r\n", b"\n"))
    conf.write_text(conf.read_text().replace("scram-sha-256", "plain"))
    run(["msmtp", "--file", str(conf), user], stdin=message("msmtp").replace(b"\r\n", b"\n"))
    with wire.Imap(cluster, user, select="INBOX") as imap:
        for data in imap.fetch("1:3", "RFC822").values():
            assert data["RFC822"].endswith(message("msmtp"))


# ---- fetchmail

@pytest.mark.parametrize("protocol,service,ssl", [("imap", "imaps", True), ("imap", "imap", False), ("pop3", "pop3s", True),
                                                  ("pop3", "pop3", False)])
def test_fetchmail(cluster, user, tmp_path, protocol, service, ssl):
    for name in ("one", "two", "three"):
        wire.deliver(cluster, user, message(name))
    conf, box = tmp_path / "fetchmailrc", tmp_path / "box"
    box.mkdir()
    conf.write_text('set no bouncemail\nset no syslog\npoll localhost protocol %s service %d user "%s" password "%s"\n'
                    'sslproto "auto" %s sslcertck sslcertfile "%s" fetchall no rewrite\nmda "/bin/sh -c \'cat >%s/$$\'"\n' % (
                        protocol, cluster.ports[service], user, PASSWORD, "ssl" if ssl else "", cluster.authority.file, box))
    conf.chmod(0o600)
    command = ["fetchmail", "--fetchmailrc", str(conf), "--idfile", str(tmp_path / "ids"), "--pidfile", str(tmp_path / "pid")]
    run(command, home=tmp_path)
    got = sorted(email.message_from_bytes(path.read_bytes())["subject"] for path in box.iterdir())
    assert got == ["one", "three", "two"]
    for path in box.iterdir():
        assert b"\n.dot\n" in path.read_bytes()
    assert run(command, home=tmp_path, check=False).returncode == 1  # no mail any more
    with wire.Imap(cluster, user) as imap:
        assert imap.exists() == 0


# ---- mbsync

def maildir(folder):
    """{subject: flags} of a Maildir."""
    found = {}
    for part in ("cur", "new"):
        for path in sorted((folder / part).iterdir()):
            subject = email.message_from_bytes(path.read_bytes())["subject"]
            found[subject] = path.name.split(":2,")[1] if ":2," in path.name else ""
    return found


def flag(folder, subject, flags):
    """Give a message of a Maildir other flags."""
    for part in ("cur", "new"):
        for path in (folder / part).iterdir():
            if email.message_from_bytes(path.read_bytes())["subject"] == subject:
                path.rename(folder / "cur" / (path.name.split(":2,")[0] + ":2," + flags))
                return
    raise AssertionError("no message " + subject)


def remote_flags(cluster, user, mailbox):
    """{subject: flags} on the server."""
    with wire.Imap(cluster, user, select=mailbox) as imap:
        found = {}
        for data in (imap.fetch("1:*", "(FLAGS ENVELOPE)") if imap.exists(mailbox) else {}).values():
            found[data["ENVELOPE"][1].decode()] = "".join(sorted(
                {b"\\Seen": "S", b"\\Flagged": "F", b"\\Answered": "R", b"\\Deleted": "T", b"\\Draft": "D"}.get(f, "")
                for f in data["FLAGS"]))
        return found


def snapshot(cluster, user, imap_folders):
    return {name: remote_flags(cluster, user, name) for name in imap_folders}


def both_sides(cluster, user, box):
    """All that a sync could change: UIDs and modification sequences of every mailbox, every file's name."""
    with wire.Imap(cluster, user) as imap:
        far = imap.command('LIST "" * RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))')
    return sorted(far), sorted(str(path) for path in box.rglob("*") if path.parent.name in ("cur", "new"))


def test_mbsync(cluster, user, tmp_path):
    for name in ("a", "b", "c"):
        wire.deliver(cluster, user, message(name))
    with wire.Imap(cluster, user) as imap:
        imap.append("Archive", message("old"), r"(\Seen \Flagged)")
        imap.command('CREATE "Projekte/2026 &- mehr"')
        imap.append("Projekte/2026 &- mehr", message("deep"), r"(\Answered)")
    conf, box = tmp_path / "mbsyncrc", tmp_path / "mail"
    box.mkdir()
    conf.write_text("""IMAPAccount tern
Host localhost
Port %d
User %s
Pass "%s"
SSLType IMAPS
CertificateFile %s

IMAPStore far
Account tern

MaildirStore near
Path %s/
Inbox %s/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
""" % (cluster.ports["imaps"], user, PASSWORD, cluster.authority.file, box, box))

    def sync():
        run(["mbsync", "--config", str(conf), "--all"], home=tmp_path)

    sync()
    assert maildir(box / "INBOX") == {"a": "", "b": "", "c": ""}
    assert maildir(box / "Archive") == {"old": "FS"}
    assert maildir(box / "Projekte" / "2026 &- mehr") == {"deep": "R"}
    before = both_sides(cluster, user, box)
    sync()
    assert both_sides(cluster, user, box) == before

    # Both sides change: flags, a deletion each, a new message each, a new folder here.
    flag(box / "INBOX", "a", "FS")
    flag(box / "INBOX", "b", "T")
    for part in ("cur", "new", "tmp"):
        (box / "Local" / part).mkdir(parents=True)
    (box / "Local" / "cur" / "1.local:2,S").write_bytes(message("local").replace(b"\r\n", b"\n"))
    with wire.Imap(cluster, user, select="INBOX") as imap:
        imap.command(r"STORE 3 +FLAGS (\Answered)")
        imap.append("INBOX", message("d"), r"(\Draft)")
        imap.command("SELECT Archive")
        imap.command(r"STORE 1 +FLAGS (\Deleted)")
        imap.command("EXPUNGE")
    sync()
    expected = {"INBOX": {"a": "FS", "c": "R", "d": "D"}, "Archive": {}, "Local": {"local": "S"},
                "Projekte/2026 &- mehr": {"deep": "R"}}
    assert snapshot(cluster, user, expected) == expected
    assert {name: maildir(box / name) for name in expected} == expected
    before = both_sides(cluster, user, box)
    sync()
    assert both_sides(cluster, user, box) == before


# ---- offlineimap3

def test_offlineimap(cluster, user, tmp_path):
    for name in ("a", "b"):
        wire.deliver(cluster, user, message(name))
    conf, box = tmp_path / "offlineimaprc", tmp_path / "mail"
    conf.write_text("""[general]
accounts = tern
metadata = %s/metadata
ui = basic
[Account tern]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = %s
[Repository far]
type = IMAP
remotehost = localhost
remoteport = %d
remoteuser = %s
remotepass = %s
ssl = yes
sslcacertfile = %s
auth_mechanisms = PLAIN
""" % (tmp_path, box, cluster.ports["imaps"], user, PASSWORD, cluster.authority.file))

    def sync():
        done = run(["offlineimap", "-c", str(conf), "-o"], home=tmp_path)
        output = (done.stdout + done.stderr).decode(errors="replace")
        assert "ERROR" not in output, output

    sync()
    assert maildir(box / "INBOX") == {"a": "", "b": ""}
    assert sorted(p.name for p in box.iterdir()) == ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"]
    flag(box / "INBOX", "a", "FS")
    (box / "Archive" / "cur" / "1.local:2,S").write_bytes(message("local").replace(b"\r\n", b"\n"))
    with wire.Imap(cluster, user, select="INBOX") as imap:
        imap.command(r"STORE 2 +FLAGS.SILENT (\Deleted)")
        imap.command("EXPUNGE")
    wire.deliver(cluster, user, message("c"))
    sync()
    assert maildir(box / "INBOX") == {"a": "FS", "c": ""}
    expected = {"INBOX": {"a": "FS", "c": ""}, "Archive": {"local": "S"}}
    assert snapshot(cluster, user, expected) == expected
    before = both_sides(cluster, user, box)
    sync()
    assert both_sides(cluster, user, box) == before


# ---- mutt in a terminal

class Terminal:
    """A program in its own tmux server."""

    def __init__(self, folder, command, environment):
        self.tmux = ["tmux", "-S", str(folder / "tmux.socket"), "-f", "/dev/null"]
        exports = " ".join("%s=%s" % (k, shlex.quote(str(v))) for k, v in environment.items())
        subprocess.run(self.tmux + ["new-session", "-d", "-x", "120", "-y", "40", "env %s %s" % (exports, command)], check=True)

    def keys(self, *keys):
        subprocess.run(self.tmux + ["send-keys"] + list(keys), check=True)

    def screen(self):
        return subprocess.run(self.tmux + ["capture-pane", "-p"], capture_output=True, text=True).stdout

    def wait(self, pattern, timeout=30):
        try:
            return wait_for(lambda: re.search(pattern, self.screen()), timeout, what="the screen")
        except AssertionError:
            raise AssertionError("no %r on the screen:\n%s" % (pattern, self.screen())) from None

    def close(self):
        subprocess.run(self.tmux + ["kill-server"], stderr=subprocess.DEVNULL)


@pytest.fixture
def mutt(cluster, user, tmp_path):
    url_user = user.replace("@", "%40")
    conf, editor = tmp_path / "muttrc", tmp_path / "editor"
    editor.write_text('#!/bin/sh\necho "Written on $(hostname)" >>"$1"\n')
    editor.chmod(0o700)
    conf.write_text("\n".join([
        'set folder="imaps://%s@localhost:%d/"' % (url_user, cluster.ports["imaps"]),
        'set spoolfile="+INBOX" record="+Sent" postponed="+Drafts" trash="+Trash"',
        'set imap_pass="%s" smtp_pass="%s"' % (PASSWORD, PASSWORD),
        'set smtp_url="smtps://%s@localhost:%d/"' % (url_user, cluster.ports["submissions"]),
        'set certificate_file="%s" ssl_verify_host=yes' % cluster.authority.file,
        'set from="%s" realname="Tester" use_envelope_from=yes hostname="%s"' % (user, HOSTNAME),
        'set editor="%s" sort=mailbox-order mark_old=no timeout=1 mail_check=1 imap_idle=yes quit=yes delete=yes' % editor,
        'set header_cache="" message_cachedir="" tmpdir="%s" sleep_time=0 index_format="%%4C %%Z %%-20.20n %%s"' % tmp_path,
        'set confirmappend=no wait_key=no beep=no',
    ]) + "\n")
    terminal = Terminal(tmp_path, "mutt -n -F %s" % conf, {"HOME": tmp_path, "TERM": "screen", "LANG": "C.UTF-8"})
    yield terminal
    terminal.close()


@pytest.fixture
def two_messages(cluster, user):
    wire.deliver(cluster, user, message("first"))
    encoded = b"=?utf-8?q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?="
    wire.deliver(cluster, user, message("second").replace(b"Subject: second", b"Subject: " + encoded))


def test_mutt(cluster, user, two_messages, mutt):
    """Read, flag, see new mail come in, search, file, write, delete, change the mailbox: looked at on the screen."""
    terminal = mutt
    terminal.wait(r"1 N\s+Alice\s+first")
    terminal.wait(r"2 N\s+Alice\s+Grüße aus Köln")
    terminal.keys("1", "Enter", "Enter")  # jump to 1, open it
    terminal.wait(r"Body of first\.")
    terminal.wait(r"^\.dot$|\n\.dot")
    terminal.keys("i")
    terminal.wait(r"1\s+Alice\s+first")  # read: no N any more
    terminal.keys("1", "Enter", "F")
    terminal.wait(r"1\s+!\s*Alice")
    terminal.keys("$")
    wire.eventually(lambda: _assert_flags(cluster, user, "first", "FS"))
    wire.deliver(cluster, user, message("third"))  # arrives while mutt idles
    terminal.wait(r"3 N\s+Alice\s+third", timeout=15)
    terminal.keys("/", "~s third", "Enter")
    time.sleep(0.5)
    terminal.keys("s", "C-u", "=Archive", "Enter")
    terminal.wait(r"3\s*D?N?D?.*third")
    terminal.keys("$")
    wire.eventually(lambda: _assert_mailboxes(cluster, user, {"Archive": ["third"]}))
    terminal.keys("m")
    terminal.wait("To:")
    terminal.keys("C-u", user, "Enter")
    terminal.wait("Subject:")
    terminal.keys("written in mutt", "Enter")
    terminal.wait("y:Send")
    terminal.keys("y")
    terminal.wait(r"Tester\s+written in mutt|To \S+\s+written in mutt", timeout=30)
    wire.eventually(lambda: _assert_mailboxes(cluster, user, {"Sent": ["written in mutt"]}))
    terminal.keys("1", "Enter", "d", "$")
    wire.eventually(lambda: _assert_mailboxes(cluster, user, {"Trash": ["first"]}))
    terminal.keys("c", "C-u", "=Archive", "Enter")
    terminal.wait(r"1 .*Alice\s+third")
    terminal.keys("q")


def _assert_flags(cluster, user, subject, flags):
    assert remote_flags(cluster, user, "INBOX")[subject] == flags


def _assert_mailboxes(cluster, user, expected):
    for mailbox, subjects in expected.items():
        assert sorted(remote_flags(cluster, user, mailbox)) == subjects

