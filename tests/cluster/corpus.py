# SPDX-License-Identifier: Apache-2.0
"""Messages to test with: real ones from the test data of installed packages, and generated ones for what real mail rarely does.
All have CRLF line ends and no NUL; everything else is allowed."""
import base64
import email.encoders
import email.generator
import email.header
import email.message
import email.mime.base
import email.mime.message
import email.mime.multipart
import email.mime.text
import email.policy
import glob
import os
import random
import re
import subprocess
import tempfile

PACKAGED = [
    "/usr/lib/python3*/test/test_email/data/*.txt",  # libpython3.11-testsuite
    "/usr/share/gocode/src/github.com/jhillyerd/enmime/**/*.raw",  # golang-github-jhillyerd-enmime-dev
    "/usr/share/gocode/src/github.com/jhillyerd/enmime/**/*.eml",
    "/usr/share/doc/spamassassin/examples/sample-*",
    "/usr/lib/python3/dist-packages/mailman/**/data/*.eml",
    "/usr/share/doc/**/*.eml",
]

# Charset names as mail has them, with the Python codec and a text that it can express.
LATIN, CYRILLIC, GREEK = "Grüße aus Köln", "Привет мир", "Καλημέρα κόσμε"
CHARSETS = (
    [(name, name, LATIN) for name in ("iso-8859-1", "iso-8859-15", "windows-1252", "utf-8", "cp850", "cp437", "macintosh", "utf-7")] +
    [(name, name, CYRILLIC) for name in ("iso-8859-5", "koi8-r", "windows-1251", "cp866", "utf-8", "koi8-u")] +
    [(name, name, GREEK) for name in ("iso-8859-7", "windows-1253")] +
    [("iso-8859-2", "iso-8859-2", "Příliš žluťoučký"), ("windows-1250", "cp1250", "Příliš žluťoučký"), ("iso-8859-3", "iso-8859-3", "ĉirkaŭ"),
     ("iso-8859-4", "iso-8859-4", "Ēģņš"), ("iso-8859-6", "iso-8859-6", "مرحبا"), ("windows-1256", "cp1256", "مرحبا"),
     ("iso-8859-8", "iso-8859-8", "שלום"), ("windows-1255", "cp1255", "שלום"), ("iso-8859-9", "iso-8859-9", "İstanbul ığdır"),
     ("windows-1254", "cp1254", "İstanbul ığdır"), ("iso-8859-10", "iso-8859-10", "Ðŋþ"), ("iso-8859-13", "iso-8859-13", "Žąsis"),
     ("windows-1257", "cp1257", "Žąsis"), ("iso-8859-14", "iso-8859-14", "Ŵŷ ẁ"), ("iso-8859-16", "iso-8859-16", "Știință"),
     ("windows-1258", "cp1258", "Đơn"), ("tis-620", "tis-620", "สวัสดี"), ("gb2312", "gb2312", "你好世界"), ("gbk", "gbk", "你好鎔基"),
     ("gb18030", "gb18030", "你好😀"), ("big5", "big5", "你好世界"), ("euc-tw", None, None), ("euc-jp", "euc-jp", "こんにちは"),
     ("shift_jis", "shift_jis", "こんにちは"), ("iso-2022-jp", "iso-2022-jp", "こんにちは"), ("euc-kr", "euc-kr", "안녕하세요"),
     ("iso-2022-kr", "iso-2022-kr", "안녕하세요"), ("ks_c_5601-1987", "euc-kr", "안녕하세요")])


def canonical(data):
    """With CRLF line ends, as mail travels."""
    return re.sub(rb"\r\n|\r|\n", b"\r\n", data)


def packaged():
    """[(name, bytes)]"""
    paths = {path for pattern in PACKAGED for path in glob.glob(pattern, recursive=True)}
    found = []
    for path in sorted(paths):
        if os.path.isfile(path) and not path.endswith(".gz"):
            with open(path, "rb") as source:
                data = source.read()
            if data and b"\0" not in data:
                found.append((path, canonical(data)))
    return found


def encoded_word(charset, raw, encoding="B"):
    text = base64.b64encode(raw) if encoding == "B" else b"".join(
        bytes([c]) if chr(c).isalnum() and c < 128 else b"=%02X" % c for c in raw)
    return b"=?%s?%s?%s?=" % (charset.encode(), encoding.encode(), text)


def in_charsets():
    """[(name, text, bytes)]: the text is in the subject (RFC 2047), a file name (RFC 2231) and the body."""
    found = []
    for number, (name, codec, text) in enumerate(CHARSETS):
        if codec is None:
            continue
        raw = text.encode(codec)
        found.append((name, text, b"".join([
            b"From: ", encoded_word(name, raw, "BQ"[number % 2]), b" <a@b.test>\r\nSubject: ", encoded_word(name, raw, "QB"[number % 2]),
            b"\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain; charset=",
            name.encode(), b"\r\nContent-Transfer-Encoding: base64\r\n\r\n", base64_lines(raw),
            b"\r\n--x\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename*=", name.encode(), b"''",
            b"".join(b"%%%02X" % c for c in raw), b"\r\n\r\nnothing\r\n--x--\r\n"])))
    return found


def base64_lines(raw):
    return base64.encodebytes(raw).strip().replace(b"\n", b"\r\n") + b"\r\n"


HEAD = b"From: Alice <a@b.test>\r\nTo: b@example.test\r\nSubject: test\r\nDate: Fri, 20 Nov 2026 10:00:00 +0100\r\n"
MIME = HEAD + b"MIME-Version: 1.0\r\n"


def multipart(boundary, parts, kind=b"mixed", end=True):
    return (b"Content-Type: multipart/%s; boundary=\"%s\"\r\n\r\n" % (kind, boundary) +
            b"".join(b"--%s\r\n%s\r\n" % (boundary, part) for part in parts) + (b"--%s--\r\n" % boundary if end else b""))


def nested(depth):
    inner = b"Content-Type: text/plain\r\n\r\nthe innermost\r\n"
    for level in range(depth):
        inner = multipart(b"b%d" % level, [inner])
    return MIME + inner


def nested_messages(depth):
    inner = HEAD + b"\r\nthe innermost\r\n"
    for level in range(depth):
        inner = HEAD.replace(b"Subject: test", b"Subject: level %d" % level) + b"Content-Type: message/rfc822\r\n\r\n" + inner
    return inner


def odd():
    """[(name, bytes)]: what the RFCs forbid or barely allow."""
    text = b"Content-Type: text/plain; charset=utf-8\r\n"
    return [
        ("header only", HEAD),
        ("header and blank line", HEAD + b"\r\n"),
        ("no header", b"\r\nonly a body\r\n"),
        ("no blank line", HEAD + b"this is no header field and there is no blank line\r\nSubject: late\r\n"),
        ("no colon first", b"not a field\r\n" + HEAD + b"\r\nbody\r\n"),
        ("blank lines only", b"\r\n\r\n\r\n"),
        ("one byte", b"x"),
        ("no final line end", HEAD + b"\r\nbody without end"),
        ("many final line ends", HEAD + b"\r\nbody" + b"\r\n" * 50),
        ("dots", HEAD + b"\r\n.\r\n..\r\n...\r\n.x\r\n. \r\n..\r\n"),
        ("dot first", b".\r\n" + HEAD),
        ("From_ line", b"From a@b.test Fri Nov 20 10:00:00 2026\r\n" + HEAD + b"\r\nbody\r\n>From x\r\nFrom y\r\n"),
        ("8-bit header, latin-1", "Subject: Grüße\r\nFrom: Jürgen <j@b.test>\r\n".encode("latin-1") + b"\r\nbody\r\n"),
        ("8-bit header, utf-8", "Subject: Grüße 你好\r\nFrom: Jürgen <j@b.test>\r\nTo: 你好 <x@b.test>\r\n".encode() + b"\r\nbody\r\n"),
        ("8-bit header, invalid", b"Subject: \xff\xfe\xc3(\x80\r\nX-\xe4: y\r\n\r\n\xff\xfe\r\n"),
        ("control characters", b"Subject: a\x01b\x7fc\x1bd\r\nFrom: \x02 <a@b.test>\r\n\r\n\x01\x02\x03\x1b[31m\r\n"),
        ("line of 998", HEAD + b"\r\n" + b"x" * 998 + b"\r\n"),
        ("line of 999", HEAD + b"\r\n" + b"x" * 999 + b"\r\n"),
        ("line of 100,000", HEAD + b"\r\n" + b"x" * 100000 + b"\r\ny\r\n"),
        ("line of 1,000,000", HEAD + b"\r\n" + b"x" * 1000000),
        ("header line of 100,000", HEAD + b"X-Long: " + b"y" * 100000 + b"\r\n\r\nbody\r\n"),
        ("folded header of 100,000", HEAD + b"X-Long:" + b"\r\n folded" * 12000 + b"\r\n\r\nbody\r\n"),
        ("5,000 fields", HEAD + b"".join(b"X-Field-%d: value\r\n" % i for i in range(5000)) + b"\r\nbody\r\n"),
        ("subject of 50,000", b"Subject: " + b"word " * 10000 + b"\r\n\r\nbody\r\n"),
        ("3,000 recipients", HEAD + b"Cc: " + b",\r\n ".join(b"Person %d <p%d@b.test>" % (i, i) for i in range(3000)) + b"\r\n\r\nbody\r\n"),
        ("blanks before colon", b"Subject : x\r\nFrom\t: a@b.test\r\n\r\nbody\r\n"),
        ("folded with blank line", b"Subject: a\r\n \r\n b\r\nFrom: a@b.test\r\n\r\nbody\r\n"),
        ("fields twice", HEAD + HEAD.replace(b"test", b"second") + b"\r\nbody\r\n"),
        ("groups and comments", b"From: (c(o)mment) \"A \\\"B\\\"\" <@route,@r2:a@b.test> (x)\r\nTo: undisclosed-recipients:;\r\n"
         b"Cc: friends: a@b.test, \"x y\"@b.test;, c@[127.0.0.1]\r\nReply-To: <>\r\nSender: @\r\n\r\nbody\r\n"),
        ("broken addresses", b"From: <<>>,,;:@@\r\nTo: a b c d <\r\nCc: \"unterminated\r\nBcc: =?utf-8?b?broken\r\n\r\nbody\r\n"),
        ("broken dates", b"Date: yesterday\r\nDate: 99 Foo 9999999 99:99:99 +9999\r\nSubject: x\r\n\r\nbody\r\n"),
        ("broken encoded words", b"Subject: =?utf-8?q?=ZZ?= =?nosuch?b?eA==?= =?utf-8?x?y?= =?utf-8?b?////?= =?utf-8?q?" + b"a" * 300 +
         b"?=\r\n\r\nbody\r\n"),
        ("deep multiparts", nested(200)),
        ("deep messages", nested_messages(120)),
        ("2,000 parts", MIME + multipart(b"many", [text + b"\r\npart %d" % i for i in range(2000)])),
        ("no end delimiter", MIME + multipart(b"open", [text + b"\r\na", text + b"\r\nb"], end=False)),
        ("no delimiter at all", MIME + b"Content-Type: multipart/mixed; boundary=absent\r\n\r\nno part\r\n"),
        ("no boundary", MIME + b"Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\npart\r\n--x--\r\n"),
        ("empty boundary", MIME + b"Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n\r\npart\r\n----\r\n"),
        ("no parts", MIME + b"Content-Type: multipart/mixed; boundary=x\r\n\r\npreamble\r\n--x--\r\nepilogue\r\n"),
        ("empty parts", MIME + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n--x\r\n\r\n\r\n--x--\r\n"),
        ("delimiter with blanks", MIME + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x \t\r\n\r\none\r\n--x  \r\n\r\ntwo\r\n--x--  \r\n"),
        ("boundary is a prefix", MIME + multipart(b"abc", [multipart(b"abcd", [text + b"\r\ninner"]), text + b"\r\nouter"])),
        ("outer delimiter inside", MIME + multipart(b"out", [multipart(b"in", [text + b"\r\na"], end=False), text + b"\r\nb"])),
        ("preamble and epilogue", MIME + b"Content-Type: multipart/mixed; boundary=x\r\n\r\npreamble\r\n--x\r\n\r\npart\r\n--x--\r\nepi\r\nlogue\r\n"),
        ("type rubbish", MIME + b"Content-Type: ; ; =\"x\"; charset=\r\nContent-Transfer-Encoding: nonsense here\r\nContent-Disposition:\r\n\r\nbody\r\n"),
        ("type without subtype", MIME + b"Content-Type: text\r\n\r\nbody\r\n"),
        ("parameter rubbish", MIME + b"Content-Type: text/plain; charset*0=ut; charset*1=f-8; name*=utf-8'en'%ff%zz; x*99=; \"\r\n\r\nbody\r\n"),
        ("rfc822 in base64", MIME + b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA0KDQp5DQo=\r\n"),
        ("digest", MIME + multipart(b"d", [b"\r\n" + HEAD + b"\r\none", b"\r\n" + HEAD + b"\r\ntwo"], b"digest")),
        ("base64 rubbish", MIME + text + b"Content-Transfer-Encoding: base64\r\n\r\n!!!!\r\nYQ=\r\n=====\r\nYWJj\r\n"),
        ("quoted-printable rubbish", MIME + text + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=\r\n=Z=4=\r\nab=3Dc= \t\r\n=E4\r\n"),
        ("flowed", MIME + b"Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes\r\n\r\n> quoted line \r\n> goes on\r\n"
         b" space-stuffed\r\n-- \r\nsignature \r\n"),
        ("pgp", pgp()),
        ("smime", smime()),
        ("languages", MIME + b"Content-Type: text/plain\r\nContent-Language: de, en-GB\r\nContent-Location: http://x/\r\nContent-MD5: xyz==\r\n"
         b"Content-ID: <c@d>\r\nContent-Description: =?utf-8?q?beschr=C3=A4nkt?=\r\nContent-Disposition: inline; filename=\"a \\\"b\\\".txt\"\r\n\r\nx\r\n"),
    ]


def pgp():
    signature = b"-----BEGIN PGP SIGNATURE-----\r\n\r\niQEzBAEBCAAdFiEE\r\n=abcd\r\n-----END PGP SIGNATURE-----"
    return MIME + (b"Content-Type: multipart/signed; micalg=pgp-sha256;\r\n\tprotocol=\"application/pgp-signature\"; boundary=\"sig\"\r\n\r\n"
                   b"--sig\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
                   b"signed text with trailing blank=20\r\n-- =\r\n\r\n--sig\r\nContent-Type: application/pgp-signature; name=\"signature.asc\"\r\n\r\n" +
                   signature + b"\r\n\r\n--sig--\r\n")


def smime():
    """Signed by openssl with a key of its own."""
    with tempfile.TemporaryDirectory() as folder:
        key, certificate, text = (os.path.join(folder, n) for n in ("key", "certificate", "text"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=s",
                        "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
        with open(text, "wb") as out:
            out.write(b"Content-Type: text/plain\r\n\r\nsigned\r\n")
        signed = subprocess.run(["openssl", "smime", "-sign", "-in", text, "-signer", certificate, "-inkey", key, "-from", "a@b.test",
                                 "-subject", "smime"], check=True, capture_output=True).stdout
    return canonical(signed)


WORDS = ["café", "привет", "你好", "hello", "😀", "naïve", "-- ", ".", "From x", "=?utf-8?q?x?="]


def random_message(rng, depth=0):
    """As Python's email package makes them."""
    kind = rng.randrange(8 if depth < 5 else 4)
    if kind < 2:
        text = "\n".join(" ".join(rng.choices(WORDS, k=rng.randrange(9))) for _ in range(rng.randrange(8)))
        return email.mime.text.MIMEText(text, rng.choice(["plain", "html"]), rng.choice(["utf-8", "utf-8", "gb18030"]))
    if kind < 4:
        part = email.mime.base.MIMEBase("application", rng.choice(["octet-stream", "pdf"]))
        part.set_payload(rng.randbytes(rng.randrange(3000)))
        rng.choice([email.encoders.encode_base64, email.encoders.encode_quopri])(part)
        part.add_header("Content-Disposition", "attachment", filename=rng.choice(["a.pdf", ("utf-8", "", "你好.pdf"), "a b;c.pdf"]))
        return part
    if kind < 5:
        inner = random_message(rng, depth + 1)
        inner["Subject"] = email.header.Header(rng.choice(WORDS), "utf-8")
        return email.mime.message.MIMEMessage(inner)
    part = email.mime.multipart.MIMEMultipart(rng.choice(["mixed", "alternative", "related"]),
                                              boundary="==%d==" % rng.randrange(1 << 60))
    for _ in range(rng.randrange(1, 5)):
        part.attach(random_message(rng, depth + 1))
    return part


def damaged(rng, data):
    lines = data.split(b"\r\n")
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(lines))
        action = rng.randrange(3)
        if action == 0 and len(lines) > 1:
            del lines[at]
        elif action == 1:
            lines.insert(at, rng.choice(lines))
        else:
            lines[at] = lines[at][:rng.randrange(len(lines[at]) + 1)]
    return b"\r\n".join(lines)


def generated(count, seed):
    """[(name, bytes)]; a third of them damaged."""
    found = []
    for number in range(count):
        rng = random.Random("%s.%d" % (seed, number))
        message = random_message(rng)
        message["From"] = rng.choice(["a@example.org", "A B <a@example.org>", '"x, y" <b@example.org>'])
        message["Subject"] = email.header.Header(" ".join(rng.choices(WORDS, k=3)), "utf-8")
        message["Message-ID"] = "<%d.%s@example.org>" % (number, seed)
        data = canonical(message.as_bytes(policy=email.policy.compat32))
        found.append(("generated %s.%d" % (seed, number), damaged(rng, data) if number % 3 == 2 else data))
    return found
