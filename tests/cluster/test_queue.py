# SPDX-License-Identifier: Apache-2.0
"""The queue between a recipient whose partition is away and the day it is back (P1, P2). One copy of each partition, so that a
partition is truly away while its node is: mail for it gets its 250 quickly, and arrives exactly once when the node is back,
whoever dies meanwhile."""
import re
import signal
import threading
import time

import pytest

import conftest
import harness
import wire
from harness import primary_of, wait_for
from load import numbered, subjects

ACCEPT_MAX = 15.0  # seconds for a 250 to DATA while the home is away; sanitizers and a loaded machine included
LARGE_SENDERS, LARGE_SIZE = 8, 14000000  # together more than twice STORE_KEPT_MAX, which each of the front-end's loops has
LARGE_MAX = 150.0  # seconds for their answers
AWAY_LONG = 25.0  # seconds: STORE_DEADLINE_MS and a little
BACK_MAX = 30.0  # seconds from the return of a node to the arrival of what was queued


@pytest.fixture(scope="module")
def single(build):
    """Three nodes, one copy of everything."""
    yield from conftest.run_cluster(build, storages=3, partitions=16, director={"copies": 1, "min_members": 1})


def user_on(cluster, wanted, not_on=False):
    """A new account whose partition is (or is not) at a node."""
    while True:
        user = cluster.add_user()
        if (primary_of(cluster, user) is wanted) != not_on:
            return user


def queue_stats(cluster):
    return cluster.ctl_json("queue", "stats")


def found(cluster, user):
    try:
        return sorted(subjects(cluster, user))
    except wire.ImapError:  # mail came between two commands: look again
        return []


class Open:
    """An SMTP transaction past RCPT, waiting for its DATA."""

    def __init__(self, cluster, recipients):
        self.smtp = wire.Smtp(cluster, timeout=60)
        self.smtp.envelope(recipients)

    def data(self, message):
        """The reply, and how long it took."""
        with self.smtp:
            begin = time.monotonic()
            answer = self.smtp.data(message)
            return answer, time.monotonic() - begin


def accept(transaction, message):
    answer, seconds = transaction.data(message)
    assert answer.startswith("250"), answer
    assert seconds < ACCEPT_MAX, "%.1f s: %s" % (seconds, answer)
    return seconds


def arrives_once(cluster, user, wanted):
    """All of it is there, and a little later nothing more."""
    wait_for(lambda: found(cluster, user) == sorted(wanted), BACK_MAX, "arrival of %s" % wanted)
    wait_for(lambda: queue_stats(cluster)["items"] == 0, BACK_MAX, "an empty queue")
    assert sorted(subjects(cluster, user)) == sorted(wanted)


def test_waits_for_its_home(single):
    cluster, victim = single, single.storages[1]
    user, other = user_on(cluster, victim), user_on(cluster, victim, not_on=True)
    small, both, large = Open(cluster, [user]), Open(cluster, [user, other]), Open(cluster, [user])
    victim.kill()
    times = [accept(small, numbered("small")), accept(both, numbered("both")), accept(large, numbered("large", 700000))]
    print("250 after " + " ".join("%.2f s" % t for t in times))
    assert subjects(cluster, other) == ["both"]
    assert queue_stats(cluster)["items"] == 3
    begin = time.monotonic()
    victim.start()
    arrives_once(cluster, user, ["small", "both", "large"])
    print("delivered %.2f s after the start of the node began" % (time.monotonic() - begin))
    assert subjects(cluster, other) == ["both"]
    with wire.Imap(cluster, user, select="INBOX") as imap:
        bodies = [row["BODY[]"] for row in imap.fetch("1:*", "(BODY.PEEK[])").values()]
    assert any(b.endswith(numbered("large", 700000)) for b in bodies)


def test_dies_in_the_middle_of_a_large_message(single):
    """What the dead node had of it is sent again from what the front-end kept, to where it can wait."""
    cluster, victim = single, single.storages[1]
    user, other = user_on(cluster, victim), user_on(cluster, victim, not_on=True)
    message = numbered("half", 3000000)
    transactions = [Open(cluster, [user]).smtp, Open(cluster, [user, other]).smtp]
    before = victim.metric("tern_requests_total", method="UPLOAD_CHUNK", status="ok")
    for smtp in transactions:
        assert smtp.command("DATA").startswith("354")
        smtp.send(message[:2000000])
    wait_for(lambda: victim.metric("tern_requests_total", method="UPLOAD_CHUNK", status="ok") >= before + 10, what="chunks are there")
    victim.kill()
    for smtp in transactions:
        begin = time.monotonic()
        with smtp:
            smtp.send(message[2000000:] + b".\r\n")
            answer = smtp.reply()
        seconds = time.monotonic() - begin
        assert answer.startswith("250 2.0.0 queued"), answer
        assert seconds < ACCEPT_MAX, "%.1f s" % seconds
        print("250 after %.2f s" % seconds)
    assert subjects(cluster, other) == ["half"]
    victim.start()
    arrives_once(cluster, user, ["half", "half"])
    for reader in user, other:
        with wire.Imap(cluster, reader, select="INBOX") as imap:
            assert all(row["BODY[]"].endswith(message) for row in imap.fetch("1:*", "(BODY.PEEK[])").values())


def test_more_large_messages_than_are_kept(single):
    """Their home is away for longer than one call waits. Those that the front-end kept go to the queue; for the others it waits,
    for nobody else has what was sent of them."""
    cluster, victim = single, single.storages[1]
    users = [user_on(cluster, victim) for _ in range(LARGE_SENDERS)]
    message = numbered("many", LARGE_SIZE)
    before = victim.metric("tern_requests_total", method="UPLOAD_CHUNK", status="ok")
    senders = [Open(cluster, [user]).smtp for user in users]
    answers, threads = {}, []

    def send(number, smtp):
        smtp.send(message[LARGE_SIZE * 3 // 4:] + b".\r\n")
        answers[number] = smtp.reply()

    for smtp in senders:
        assert smtp.command("DATA").startswith("354")
        smtp.socket.settimeout(LARGE_MAX)
        smtp.send(message[:LARGE_SIZE * 3 // 4])
    chunks = LARGE_SENDERS * (LARGE_SIZE * 3 // 4 // 262144 - 1)
    wait_for(lambda: victim.metric("tern_requests_total", method="UPLOAD_CHUNK", status="ok") >= before + chunks, what="chunks are there")
    victim.kill()
    for item in enumerate(senders):
        threads.append(threading.Thread(target=send, args=item))
        threads[-1].start()
    time.sleep(AWAY_LONG)
    victim.start()
    for thread in threads:
        thread.join(LARGE_MAX)
    for smtp in senders:
        smtp.__exit__(None, None, None)
    print(sorted(answers.values()))
    assert len(answers) == LARGE_SENDERS
    assert all(answer.startswith("250") for answer in answers.values()), answers
    assert any("delivered" in answer for answer in answers.values()), "all were kept: more senders are needed"
    for user in users:
        arrives_once(cluster, user, ["many"])


def test_rcpt_while_away(single):
    """An address that this front-end has seen lately is taken on; one that it cannot verify is not."""
    cluster, victim = single, single.storages[1]
    user, stranger = user_on(cluster, victim), user_on(cluster, victim)
    wire.deliver(cluster, user, numbered("before"))
    with wire.Smtp(cluster, timeout=60) as smtp:  # the other thread's sessions must know it too
        smtp.envelope([user])
    victim.kill()
    for i in range(6):
        begin = time.monotonic()
        wire.deliver(cluster, user, numbered("away%d" % i), may_wait=True)
        assert time.monotonic() - begin < ACCEPT_MAX
    with wire.Smtp(cluster, timeout=60) as smtp:
        smtp.command("MAIL FROM:<>")
        answer = smtp.command("RCPT TO:<%s>" % stranger)
        assert answer.startswith("451"), answer
    victim.start()
    arrives_once(cluster, user, ["before"] + ["away%d" % i for i in range(6)])


def test_frontend_dies_with_a_lease(single):
    """Whoever takes over delivers what the dead one had leased, and what it had delivered and not reported is not doubled."""
    cluster, victim = single, single.storages[2]
    user = user_on(cluster, victim)
    wanted = ["kill%d" % i for i in range(60)]
    transactions = [Open(cluster, [user]) for _ in wanted]
    victim.kill()
    for name, transaction in zip(wanted, transactions):
        accept(transaction, numbered(name))
    victim.start(wait_ready=False)
    wait_for(lambda: 0 < queue_stats(cluster)["items"] < len(wanted) or "delivered item=" in cluster.frontend.log(), BACK_MAX,
             "some are delivered", interval=0.001)
    cluster.frontend.kill()
    victim.wait_ready()
    cluster.frontend.start()
    wait_for(lambda: len(found(cluster, user)) >= len(wanted), 90, "all arrive")
    wait_for(lambda: queue_stats(cluster)["items"] == 0, 90, "an empty queue")
    assert sorted(subjects(cluster, user)) == sorted(wanted)


def test_answer_that_never_came(single):
    """The node stops at any point of a delivery, its answer lost: what it has on disk is queued under the same delivery id and
    does not come twice."""
    cluster, victim = single, single.storages[0]
    user = user_on(cluster, victim)
    wanted = ["doubt%d" % i for i in range(24)]
    transactions = [Open(cluster, [user]) for _ in wanted]
    for transaction in transactions:
        answer = transaction.smtp.command("DATA")
        assert answer.startswith("354"), answer
    for i, (name, transaction) in enumerate(zip(wanted, transactions)):
        transaction.smtp.send(numbered(name) + b".\r\n")
        if i == len(wanted) // 2:
            victim.signal(signal.SIGSTOP)
        time.sleep(0.003)
    replies = [t.smtp.reply() for t in transactions]
    for transaction in transactions:
        transaction.smtp.close()
    victim.kill()
    victim.start()
    assert all(r.startswith("250") for r in replies), replies
    print("%d of %d were queued" % (sum("queued" in r for r in replies), len(replies)))
    arrives_once(cluster, user, wanted)


def test_queue_put_in_doubt(single):
    """The node that is asked to queue mail stops at any point of taking it, its answer lost: another one takes it, for certain, so
    the sender is told 250 and sends nothing again. What both have is delivered under one id and arrives once."""
    cluster, victim, doubtful = single, single.storages[2], single.storages[0]
    user = user_on(cluster, victim)
    wanted = ["twice%d" % i for i in range(40)]
    transactions = [Open(cluster, [user]) for _ in wanted]
    victim.kill()
    accept(transactions[0], numbered(wanted[0]))  # from now on the home is known to be away, and the queue is asked at once
    for transaction in transactions[1:]:
        answer = transaction.smtp.command("DATA")
        assert answer.startswith("354"), answer
    for i, (name, transaction) in enumerate(zip(wanted, transactions)):
        if i == 0:
            continue
        transaction.smtp.send(numbered(name) + b".\r\n")
        if i == len(wanted) // 2:
            doubtful.signal(signal.SIGSTOP)
        time.sleep(0.003)
    replies = [t.smtp.reply() for t in transactions[1:]]
    for transaction in transactions[1:]:
        transaction.smtp.close()
    doubtful.kill()
    doubtful.start()
    assert all(r.startswith("250") for r in replies), replies
    in_doubt = len(re.findall(r"does not take a message: ERR_IN_DOUBT", cluster.frontend.log()))
    wait_for(lambda: queue_stats(cluster)["items"] >= len(wanted), what="the items of the node that is back")
    print("\n%d puts in doubt, %d items for %d messages" % (in_doubt, queue_stats(cluster)["items"], len(wanted)))
    assert in_doubt > 0
    victim.start()
    arrives_once(cluster, user, wanted)


def test_nobody_takes_it(build):
    """With every partition away the sender is told to keep it."""
    with harness.started(build, storages=1, partitions=4) as cluster:
        user = cluster.add_user()
        small, large = Open(cluster, [user]), Open(cluster, [user])
        cluster.storage.kill()
        for transaction, name, size in ((small, "small", 2000), (large, "large", 600000)):
            answer, seconds = transaction.data(numbered(name, size))
            assert answer.startswith("451"), answer
            assert seconds < 40
        cluster.storage.start()
        time.sleep(2)
        names = subjects(cluster, user)  # a 451 claims nothing: a request that was on its way may have arrived, once
        assert len(names) == len(set(names)), names


def test_deleted_account_fails_visibly(single):
    """What can never be delivered stays where a person sees it."""
    cluster, victim = single, single.storages[1]
    user = user_on(cluster, victim)
    transaction = Open(cluster, [user])
    victim.kill()
    accept(transaction, numbered("orphan"))
    [item] = cluster.ctl_json("queue", "list")
    cluster.ctl("queue", "hold", item["id"])
    victim.start()
    cluster.ctl("user", "delete", user)
    assert cluster.ctl_json("queue", "show", item["id"])["held"]
    cluster.ctl("queue", "release", item["id"])
    wait_for(lambda: queue_stats(cluster)["failed"] == 1, BACK_MAX, "the item has failed")
    shown = cluster.ctl_json("queue", "show", item["id"])
    assert shown["recipients"][0]["state"] == "failed" and "account" in shown["recipients"][0]["error"], shown
    assert "failed" in cluster.ctl("queue", "list")
    cluster.ctl("queue", "retry", item["id"])
    wait_for(lambda: queue_stats(cluster)["failed"] == 1, BACK_MAX, "the item has failed again")
    cluster.ctl("queue", "delete", item["id"])
    assert cluster.ctl_json("queue", "list") == []
    assert cluster.ctl("queue", "show", item["id"], check=False).returncode == 1
