# SPDX-License-Identifier: Apache-2.0
"""Mail to measure with: the same bytes on every run (seeded), nothing that compresses better than real mail does."""
import os
import random
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formataddr, formatdate

SEED = 20260101
FIRST_DATE = 1730000000  # the first message's; each next one is some minutes later
WORDS = ("the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which one you "
         "were all her she there would their we him been has when who will no more if out so up said what its about than into them "
         "can only other time new some could these two may first then do any like my now over such our man even most made after "
         "also well must before through years where much your way down should because long each just state people too good world "
         "make very year still see own work get here between both life being under three never know same last another while us off "
         "might great go come since against right came take used himself few house use place during without again home around small "
         "invoice report meeting project release deadline customer server mailbox cluster replica snapshot budget schedule contract "
         "delivery shipment account password reset newsletter unsubscribe review patch commit merge branch deploy incident alert "
         "latency throughput quarterly forecast agenda minutes attached kindly regards thanks please confirm receipt").split()
GREETINGS = ("Grüße aus München", "Přehled objednávky", "会議の議事録について", "Счёт за ноябрь", "Résumé de l'été",
             "Ελληνικά νέα", "日程安排更新", "Łódź zażółć gęślą jaźń")
NAMES = ("Anna Smith", "Béla Novák", "Chloé Dubois", "Dmitri Ivanov", "Eve O'Brien", "Grace Kowalski", "Håkon Østby",
         "Jürgen Müller", "Kenji Tanaka", "Lucía García", "Mallory Trent", "Niamh Quinn")
ATTACHMENTS = (("application", "pdf", "report.pdf"), ("image", "jpeg", "photo.jpg"), ("application", "zip", "archive.zip"))
LINE_WIDTH = 72


class Writer:
    """Makes messages up."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.date = FIRST_DATE
        self.threads = []  # (Message-ID, subject) of earlier messages, to answer to

    def words(self, count):
        return " ".join(self.random.choices(WORDS, k=count))

    def text(self, size):
        """About `size` bytes of sentences in short lines."""
        lines, used = [], 0
        while used < size:
            line = self.words(self.random.randint(9, 14))[:LINE_WIDTH].capitalize()
            lines.append(line if len(lines) % 9 else "")
            used += len(lines[-1]) + 2
        return "\n".join(lines)[:size] + "\n"

    def address(self):
        name = self.random.choice(NAMES)
        return formataddr((name, "%s%d@example.com" % (self.random.choice(WORDS), self.random.randint(1, 999))))

    def subject(self):
        if self.random.random() < 0.2:
            return "%s %d" % (self.random.choice(GREETINGS), self.random.randint(1, 999))
        return self.words(self.random.randint(3, 9)).capitalize()

    def headers(self):
        """A message with what mail has in its header by the time it arrives."""
        message = EmailMessage(policy=SMTP.clone(cte_type="8bit", max_line_length=998))
        self.date += self.random.randint(100, 1900)
        for hop in range(self.random.randint(1, 3)):
            message.add_header("Received", "from mx%d.example.com (mx%d.example.com [192.0.2.%d]) by in%d.example.org with ESMTPS id %012X; %s"
                               % (hop, hop, self.random.randint(1, 254), hop, self.random.getrandbits(48), formatdate(self.date - hop)))
        identity, subject = "<%d.%08x@example.com>" % (self.date, self.random.getrandbits(32)), self.subject()
        message["Message-ID"] = identity
        message["Date"] = formatdate(self.date)
        message["From"] = self.address()
        message["To"] = ", ".join(self.address() for _ in range(self.random.choice((1, 1, 1, 2, 3, 8))))
        if self.random.random() < 0.25:
            message["Cc"] = self.address()
        if self.threads and self.random.random() < 0.4:
            parent, subject = self.random.choice(self.threads[-50:])
            message["In-Reply-To"] = message["References"] = parent
            subject = "Re: " + subject.removeprefix("Re: ")
        message["Subject"] = subject
        self.threads.append((identity, subject))
        return message

    def plain(self, size):
        message = self.headers()
        message.set_content(self.text(size), cte="7bit", charset="us-ascii")
        return message

    def plain_utf8(self, size):
        message = self.headers()
        message.set_content(self.random.choice(GREETINGS) + "\n" + self.text(size), cte="8bit")
        return message

    def alternative(self, size):
        message = self.headers()
        text = self.text(size // 2)
        message.set_content(text, cte="8bit")
        message.add_alternative("<html><body>\n<p>%s</p>\n</body></html>\n" % text.replace("\n\n", "</p>\n<p>"), subtype="html",
                                cte="8bit")
        return message

    def attachment(self, size):
        """A short text and random bytes in base64, `size` bytes together."""
        message = self.alternative(min(4000, size // 4))
        maintype, subtype, name = self.random.choice(ATTACHMENTS)
        message.add_attachment(self.random.randbytes((size - min(4000, size // 4)) * 18 // 25), maintype=maintype, subtype=subtype,
                               filename=name)
        return message

    def varied(self):
        """One message of a mailbox as people have them: mean about 24 KB."""
        kind, between = self.random.random(), self.random.randint
        if kind < 0.15:
            return self.plain(between(200, 1500))
        if kind < 0.50:
            return self.plain_utf8(between(1500, 20000))
        if kind < 0.88:
            return self.alternative(between(3000, 30000))
        if kind < 0.98:
            return self.attachment(between(30000, 120000))
        return self.attachment(between(200000, 500000))


def write(folder, messages):
    """Files of a folder, with CRLF; once (a folder that is there is complete). The folder."""
    if not os.path.isdir(folder):
        unfinished = folder + ".new"
        os.makedirs(unfinished, exist_ok=True)
        for number, message in enumerate(messages):
            with open(os.path.join(unfinished, "%04d.eml" % number), "wb") as out:
                out.write(message.as_bytes())
        os.rename(unfinished, folder)
    return folder


def sized(folder, size, count=200):
    """A folder of `count` messages of about `size` bytes: text if small, else with an attachment."""
    writer = Writer(SEED + size)
    make = writer.plain if size < 10000 else writer.attachment
    return write(os.path.join(folder, "mail-%d-%d" % (size, count)), (make(size - 600) for _ in range(count)))


def varied(folder, count):
    """A folder of `count` messages as people have them."""
    writer = Writer(SEED)
    return write(os.path.join(folder, "mail-varied-%d" % count), (writer.varied() for _ in range(count)))


def read(folder):
    """The messages of a folder."""
    messages = []
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            messages.append(file.read())
    return messages
