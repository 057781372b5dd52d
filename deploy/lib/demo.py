# SPDX-License-Identifier: Apache-2.0
"""The first mail: alice sends bob a message with an attachment by submission (STARTTLS, AUTH), and it is read back by IMAP and by POP3."""
import hashlib
import imaplib
import os
import poplib
import shlex
import smtplib
import ssl
import sys
import time
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

ALICE, BOB = "alice@example.test", "bob@example.test"
HOST = "localhost"
ARRIVAL_SECONDS = 10


def read_env(file):
    with open(file) as lines:
        return dict(shlex.split(line)[0].split("=", 1) for line in lines if line.strip())


def compose(attachment):
    message = EmailMessage()
    message["From"] = f"Alice <{ALICE}>"
    message["To"] = f"Bob <{BOB}>"
    message["Subject"] = "Welcome to Tern: bienvenue, добро пожаловать"
    message["Date"] = formatdate(localtime=True)
    message["Message-ID"] = make_msgid(domain="example.test")
    message.set_content("Hello Bob,\n\nthis is the first mail of this cluster, with something attached.\n\nAlice\n")
    message.add_attachment(attachment, maintype="application", subtype="octet-stream", filename="feathers.bin")
    return message


def send(env, tls, message):
    with smtplib.SMTP(HOST, int(env["SUBMISSION_1"]), timeout=30) as smtp:
        smtp.starttls(context=tls)
        smtp.login(ALICE, env["ALICE_PASSWORD"])
        smtp.send_message(message)
    print(f"sent: {ALICE} to {BOB} by submission, port {env['SUBMISSION_1']}, STARTTLS, AUTH")


def check(raw, message, attachment):
    """Raises AssertionError unless `raw` is the message that was sent."""
    got = message_from_bytes(raw, policy=policy.default)
    assert got["Message-ID"] == message["Message-ID"], "another message"
    assert got["Subject"] == message["Subject"], "the subject has changed"
    assert next(got.iter_attachments()).get_content() == attachment, "the attachment has changed"


def read_imap(env, tls, message, attachment):
    with imaplib.IMAP4_SSL(HOST, int(env["IMAPS_1"]), ssl_context=tls, timeout=30) as imap:
        imap.login(BOB, env["BOB_PASSWORD"])
        deadline = time.monotonic() + ARRIVAL_SECONDS
        while True:
            imap.select("INBOX")
            _, found = imap.search(None, "HEADER", "Message-ID", f'"{message["Message-ID"]}"')
            if found[0]:
                break
            assert time.monotonic() < deadline, "the message is not in bob's INBOX"
            time.sleep(0.1)
        _, data = imap.fetch(found[0].split()[-1].decode(), "(BODY.PEEK[])")
        check(data[0][1], message, attachment)
    print(f"read back: by IMAP, port {env['IMAPS_1']}, TLS: {len(data[0][1])} bytes, attachment intact")


def read_pop3(env, tls, message, attachment):
    pop3 = poplib.POP3_SSL(HOST, int(env["POP3S_1"]), context=tls, timeout=30)
    try:
        pop3.user(BOB)
        pop3.pass_(env["BOB_PASSWORD"])
        count, _ = pop3.stat()
        raw = b"\r\n".join(pop3.retr(count)[1]) + b"\r\n"
        check(raw, message, attachment)
    finally:
        pop3.quit()
    print(f"read back: by POP3, port {env['POP3S_1']}, TLS: {len(raw)} bytes, attachment intact")


def main():
    env = read_env(sys.argv[1])
    tls = ssl.create_default_context(cafile=env["CA_FILE"])
    attachment = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(2000)) + os.urandom(16)
    message = compose(attachment)
    send(env, tls, message)
    read_imap(env, tls, message, attachment)
    read_pop3(env, tls, message, attachment)


main()
