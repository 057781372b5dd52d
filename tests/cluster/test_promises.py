# SPDX-License-Identifier: Apache-2.0
"""P1 to P4, as far as one replica of each partition goes: programs die and come back under their sessions."""
import re
import threading
import time

import wire
from harness import PASSWORD, wait_for
from load import ImapWriter, SmtpWriter, numbered, subjects, wait_for_mail


def test_p1_acknowledged_survives_kill9(own_cluster):
    """The storage node dies three times while five clients write; all that was acknowledged is there, nothing twice (P2)."""
    cluster, user = own_cluster, own_cluster.add_user()
    writers = [SmtpWriter(cluster, user, "smtp%d" % i) for i in range(3)]
    writers += [ImapWriter(cluster, user, "imap%d" % i) for i in range(2)]
    try:
        for _ in range(3):
            goal = sum(len(w.acknowledged) for w in writers) + 30
            wait_for(lambda: sum(len(w.acknowledged) for w in writers) > goal, 60, "progress")
            cluster.storage.kill()
            time.sleep(0.3)
            cluster.storage.start()
        goal = sum(len(w.acknowledged) for w in writers) + 20
        wait_for(lambda: sum(len(w.acknowledged) for w in writers) > goal, 60, "progress after the restart")
    finally:
        for writer in writers:
            writer.end()
    acknowledged = {s for w in writers for s in w.acknowledged}
    tried = {s for w in writers for s in w.tried}
    wait_for_mail(cluster, user, acknowledged)
    found = subjects(cluster, user)
    assert acknowledged <= set(found), "lost: %s" % sorted(acknowledged - set(found))
    assert set(found) <= tried
    assert len(found) == len(set(found)), "twice: %s" % sorted(s for s in set(found) if found.count(s) > 1)
    # and every body is whole
    with wire.Imap(cluster, user, select="INBOX") as imap:
        for data in imap.fetch("1:*", "(ENVELOPE BODY.PEEK[])").values():
            name = data["ENVELOPE"][1].decode()
            assert data["BODY[]"].endswith((numbered(name), numbered(name, 50000)))


def test_p1_changes_survive_kill9(own_cluster):
    """What was answered OK to STORE, COPY, MOVE, EXPUNGE, CREATE, RENAME, SUBSCRIBE and QUIT after DELE."""
    cluster, user = own_cluster, own_cluster.add_user()
    for i in range(6):
        wire.deliver(cluster, user, numbered("m%d" % i))
    with wire.Pop3(cluster, user) as pop:
        assert pop.command("DELE 6").startswith("+OK")
        assert pop.command("QUIT").startswith("+OK")
    with wire.Imap(cluster, user, select="INBOX") as imap:
        imap.command(r"STORE 1 +FLAGS (\Flagged $Label)")
        imap.command("COPY 2 Archive")
        imap.command("MOVE 3 Trash")
        imap.command(r"STORE 4 +FLAGS.SILENT (\Deleted)")
        imap.command("EXPUNGE")
        imap.command("CREATE one/two")
        imap.command("RENAME one three")
        imap.command("UNSUBSCRIBE Junk")
        imap.command("CREATE gone")
        imap.command("DELETE gone")
        cluster.storage.kill()
    cluster.storage.start()
    with wire.Imap(cluster, user, select="INBOX") as imap:
        got = {data["ENVELOPE"][1]: data["FLAGS"] for data in imap.fetch("1:*", "(FLAGS ENVELOPE)").values()}
        assert sorted(got) == [b"m0", b"m1", b"m3"]
        assert {b"\\Flagged", b"$Label"} <= set(got[b"m0"])
        names = b"\n".join(imap.command('LIST "" * RETURN (SUBSCRIBED)'))
        assert b"three/two" in names and b"one" not in names and b"gone" not in names
        assert re.search(rb'\(([^)]*)\) "/" "?Junk', names) and b"\\Subscribed" not in re.search(
            rb'\(([^)]*)\) "/" "?Junk', names).group(1)
    assert subjects(cluster, user, "Archive") == ["m1"]
    assert subjects(cluster, user, "Trash") == ["m2"]


def test_p1_stop_in_order_and_start(own_cluster):
    """SIGTERM instead of SIGKILL, all programs."""
    cluster, user = own_cluster, own_cluster.add_user()
    wire.deliver(cluster, user, numbered("before"))
    for process in cluster.processes:
        assert process.stop() == 0, process.name
    for process in reversed(cluster.processes):
        process.start(wait_ready=False)
    for process in cluster.processes:
        process.wait_ready()
    assert subjects(cluster, user) == ["before"]


def test_p2_request_is_not_repeated_over_a_restart(own_cluster):
    """APPEND while the storage node is away for a moment: the front-end tries again by itself, once is once."""
    cluster, user = own_cluster, own_cluster.add_user()
    with wire.Imap(cluster, user) as imap:
        imap.append("INBOX", numbered("one"))
        cluster.storage.kill()
        starter = threading.Timer(1.0, cluster.storage.start)
        starter.start()
        try:
            imap.append("INBOX", numbered("two"))
        finally:
            starter.join()
    assert subjects(cluster, user) == ["one", "two"]


def test_p3_sessions_see_the_same(own_cluster):
    cluster, user = own_cluster, own_cluster.add_user()
    sessions = [wire.Imap(cluster, user, select="INBOX") for _ in range(4)]
    try:
        for i in range(20):
            writer = sessions[i % 4]
            writer.append("INBOX", numbered("m%d" % i))
            if i % 5 == 4:
                writer.command("NOOP")
                writer.command(r"STORE 1 +FLAGS.SILENT (\Deleted)")
                writer.command("EXPUNGE")
            else:
                writer.command(r"UID STORE %s +FLAGS (\Flagged)" % re.search(r"APPENDUID \d+ (\d+)", writer.code).group(1)
                               if writer.code and "APPENDUID" in writer.code else "NOOP")
        for session in sessions:
            session.command("NOOP")
        views = [session.fetch("1:*", "(UID FLAGS MODSEQ ENVELOPE)") for session in sessions]
        for view in views:
            for data in view.values():
                data["FLAGS"] = sorted(f for f in data["FLAGS"] if f != b"\\Recent")
        assert views[0] == views[1] == views[2] == views[3]
        assert len(views[0]) == 16
        uids = [int(data["UID"]) for data in views[0].values()]
        assert uids == sorted(uids)
    finally:
        for session in sessions:
            session.close()


def test_p3_uids_and_modseqs_never_go_back(own_cluster):
    cluster, user = own_cluster, own_cluster.add_user()

    def state():
        with wire.Imap(cluster, user) as imap:
            answer = imap.command("STATUS INBOX (UIDNEXT UIDVALIDITY HIGHESTMODSEQ)")[0]
            return tuple(int(re.search(rb"%s (\d+)" % key, answer).group(1))
                         for key in (b"UIDVALIDITY", b"UIDNEXT", b"HIGHESTMODSEQ"))

    states = [state()]
    for i in range(3):
        wire.deliver(cluster, user, numbered("m%d" % i))
        states.append(state())
        with wire.Imap(cluster, user, select="INBOX") as imap:
            imap.command(r"STORE 1 +FLAGS.SILENT (\Deleted)")
            imap.command("EXPUNGE")
        states.append(state())
        cluster.storage.kill()
        cluster.storage.start()
        states.append(state())
    assert states == sorted(states)
    assert states[-1][1] == states[0][1] + 3
    with wire.Imap(cluster, user) as imap:  # UIDVALIDITY goes up when a name is used again
        values = []
        for _ in range(3):
            imap.command("CREATE again")
            values.append(int(re.search(rb"UIDVALIDITY (\d+)", imap.command("STATUS again (UIDVALIDITY)")[0]).group(1)))
            imap.command("DELETE again")
        assert values == sorted(set(values))


def test_p4_a_frontend_holds_nothing(own_cluster):
    cluster, user = own_cluster, own_cluster.add_user()
    wire.deliver(cluster, user, numbered("m"))
    with wire.Imap(cluster, user, select="INBOX") as imap, wire.Pop3(cluster, user) as pop, wire.Smtp(cluster) as smtp:
        imap.command(r"STORE 1 +FLAGS (\Flagged)")
        assert pop.command("DELE 1").startswith("+OK")  # not done before QUIT
        smtp.envelope([user])
        assert smtp.command("DATA").startswith("354")
        smtp.send(b"Subject: half a message\r\n\r\n")
        cluster.frontend.kill()
        for session in (imap, pop, smtp):
            assert session.is_closed()
    cluster.frontend.start()
    with wire.Imap(cluster, user, select="INBOX") as imap:
        got = imap.fetch("1:*", "(FLAGS ENVELOPE)")
        assert len(got) == 1 and b"\\Flagged" in got[1]["FLAGS"] and got[1]["ENVELOPE"][1] == b"m"


def test_p4_pop3_lock_ends_with_its_frontend(own_cluster):
    """The lock lease of a dead front-end ends by itself, later than one would like but for sure."""
    cluster, user = own_cluster, own_cluster.add_user()
    with wire.Pop3(cluster, user) as first:
        with wire.Pop3(cluster) as second:
            second.command("USER " + user)
            assert second.command("PASS " + PASSWORD).startswith("-ERR [IN-USE]")
        first.leave()
    with wire.Pop3(cluster, user):  # given back when the connection went
        pass
