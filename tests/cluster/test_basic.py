# SPDX-License-Identifier: Apache-2.0
"""Mail in over SMTP and submission, out over IMAP and POP3, with Python's own libraries."""
import email.message
import email.policy
import imaplib
import poplib
import smtplib

from harness import PASSWORD
from wire import tls_context


def make_message(subject="Hello", to="someone@example.test"):
    message = email.message.EmailMessage()
    message["From"] = "Alice <alice@elsewhere.test>"
    message["To"] = to
    message["Subject"] = subject
    message["Message-ID"] = "<%s@test>" % subject
    message.set_content("Grüße!\n.a line with a dot\n")
    message.add_attachment(bytes(range(256)) * 10, maintype="application", subtype="octet-stream", filename="all.bin")
    return message


def test_smtp_to_imap(cluster, user):
    with smtplib.SMTP("127.0.0.1", cluster.ports["smtp"]) as smtp:
        smtp.starttls(context=tls_context(cluster))
        assert smtp.send_message(make_message(), to_addrs=[user]) == {}
    with imaplib.IMAP4_SSL("127.0.0.1", cluster.ports["imaps"], ssl_context=tls_context(cluster)) as imap:
        imap.login(user, PASSWORD)
        assert imap.select("INBOX") == ("OK", [b"1"])
        assert imap.search(None, "SUBJECT", "hello") == ("OK", [b"1"])
        status, data = imap.fetch("1", "(FLAGS RFC822)")
        assert status == "OK"
        got = email.message_from_bytes(data[0][1], policy=email.policy.default)
        assert got["Subject"] == "Hello"
        assert got.get_body().get_content() == "Grüße!\r\n.a line with a dot\r\n"
        assert next(got.iter_attachments()).get_content() == bytes(range(256)) * 10
        assert got["Return-Path"] == "<alice@elsewhere.test>"
        assert "with ESMTPS id" in got["Received"]


def test_submission_between_users(cluster, user, other):
    for port, kind in ((cluster.ports["submission"], smtplib.SMTP), (cluster.ports["submissions"], smtplib.SMTP_SSL)):
        options = {} if kind is smtplib.SMTP else {"context": tls_context(cluster)}
        with kind("127.0.0.1", port, **options) as smtp:
            if kind is smtplib.SMTP:
                smtp.starttls(context=tls_context(cluster))
            smtp.login(user, PASSWORD)
            smtp.sendmail(user, [other], make_message("via %d" % port).as_bytes(policy=email.policy.SMTP))
    pop = poplib.POP3_SSL("127.0.0.1", cluster.ports["pop3s"], context=tls_context(cluster))
    pop.user(other)
    pop.pass_(PASSWORD)
    assert pop.stat()[0] == 2
    first = b"\r\n".join(pop.retr(1)[1]) + b"\r\n"
    assert len(first) == int(pop.list(1).split()[2])
    assert b"..a line" not in first and b"\r\n.a line" in first
    assert b"with ESMTPSA id" in first
    pop.dele(1)
    pop.quit()
    pop = poplib.POP3("127.0.0.1", cluster.ports["pop3"])
    pop.stls(context=tls_context(cluster))
    pop.user(other)
    pop.pass_(PASSWORD)
    assert pop.stat()[0] == 1
    pop.quit()


def test_wrong_password(cluster, user):
    with smtplib.SMTP_SSL("127.0.0.1", cluster.ports["submissions"], context=tls_context(cluster)) as smtp:
        try:
            smtp.login(user, "wrong")
            raise AssertionError("logged in with a wrong password")
        except smtplib.SMTPAuthenticationError as error:
            assert error.smtp_code == 535
    with imaplib.IMAP4_SSL("127.0.0.1", cluster.ports["imaps"], ssl_context=tls_context(cluster)) as imap:
        try:
            imap.login(user, "wrong")
            raise AssertionError("logged in with a wrong password")
        except imaplib.IMAP4.error as error:
            assert b"AUTHENTICATIONFAILED" in error.args[0]
    pop = poplib.POP3_SSL("127.0.0.1", cluster.ports["pop3s"], context=tls_context(cluster))
    pop.user(user)
    try:
        pop.pass_("wrong")
        raise AssertionError("logged in with a wrong password")
    except poplib.error_proto as error:
        assert error.args[0].startswith(b"-ERR [AUTH]")
    pop.close()


def test_internationalised_address(cluster):
    """SMTPUTF8 in, UTF8=ACCEPT out; canonical forms of an address are one account."""
    address = cluster.add_user("Grün.Öl")
    with smtplib.SMTP("127.0.0.1", cluster.ports["smtp"]) as smtp:
        smtp.starttls(context=tls_context(cluster))
        message = make_message("internationalised", to=address)
        smtp.send_message(message, from_addr="sender@elsewhere.test", to_addrs=["GRÜN.öl@EXAMPLE.test"], mail_options=["SMTPUTF8"])
    with imaplib.IMAP4_SSL("127.0.0.1", cluster.ports["imaps"], ssl_context=tls_context(cluster)) as imap:
        imap.authenticate("PLAIN", lambda _: ("\0%s\0%s" % (address, PASSWORD)).encode())
        assert imap.enable("UTF8=ACCEPT")[0] == "OK"
        assert imap.select("INBOX") == ("OK", [b"1"])
        assert address.encode() in imap.fetch("1", "(BODY[HEADER])")[1][0][1]
    pop = poplib.POP3_SSL("127.0.0.1", cluster.ports["pop3s"], context=tls_context(cluster))
    pop.encoding = "utf-8"
    pop.utf8()
    pop.user(address)
    pop.pass_(PASSWORD)
    assert address.encode() in b"\n".join(pop.retr(1)[1])
    pop.quit()
