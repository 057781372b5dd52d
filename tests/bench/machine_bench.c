/* SPDX-License-Identifier: Apache-2.0 */
/* How long the state machine takes: DELIVER of small mail over RocksDB, then what a session reads. One
 * thread, no fsync, as the apply side of a storage node.
 *
 *   machine_bench [COUNT [FOLDER]]     default 100000, a new folder in /tmp
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/alloc.h"
#include "lib/mail/flags.h"
#include "lib/mail/summary.h"
#include "lib/mail/uidset.h"
#include "proto/account.pb-c.h"
#include "proto/mailbox.pb-c.h"
#include "proto/message.pb-c.h"
#include "storage-node/mailbox/machine.h"

enum { PARTITION = 3, ACCOUNTS = 100, BODY_SIZE = 5000, ENTRIES_A_COMMIT = 16, READ_MESSAGES = 10000 };

struct bench {
    struct kv *kv;
    struct kv_txn *txn;
    struct kv_batch *batch;
    struct machine_result result;
    struct buf request, entry, key, response, rows;
    uint64_t index, time_ms, ids;
};

/* Processor time of this thread: what else runs on the machine does not count. */
static uint64_t cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void must(enum err err, const char *what)
{
    if (err == OK)
        return;
    fprintf(stderr, "%s: %s\n", what, err_name(err));
    exit(1);
}

static void make_entry(struct bench *b, uint32_t method, const ProtobufCMessage *request, size_t body_len)
{
    b->request.len = 0;
    buf_reserve(&b->request, protobuf_c_message_get_packed_size(request));
    b->request.len = protobuf_c_message_pack(request, b->request.data);
    struct entry_header header = {
        .version = MACHINE_VERSION, .method = method, .time_ms = ++b->time_ms, .body_len = (uint32_t)body_len
    };
    memcpy(header.request_id, (uint64_t[]){ __builtin_bswap64(b->time_ms), ++b->ids }, REQUEST_ID_SIZE);
    buf_clear(&b->entry);
    entry_encode(&header, buf_slice(&b->request), &b->entry);
}

static void apply(struct bench *b)
{
    must(machine_apply(b->txn, PARTITION, ++b->index, buf_slice(&b->entry), &b->result), "apply");
    must(b->result.status, "status");
}

static void call(struct bench *b, uint32_t method, const ProtobufCMessage *request)
{
    make_entry(b, method, request, 0);
    apply(b);
    must(kv_txn_commit(b->txn), "commit");
}

static void create_account(struct bench *b, int number, uint64_t *id_out)
{
    char address[64];
    snprintf(address, sizeof address, "user%d@example.test", number);
    Tern__AccountCreateRequest request = TERN__ACCOUNT_CREATE_REQUEST__INIT;
    request.address = address;
    call(b, METHOD_ACCOUNT_CREATE, &request.base);
    Tern__AccountCreateResponse *response =
        tern__account_create_response__unpack(NULL, b->result.response.len, b->result.response.data);
    *id_out = response->account->id;
    tern__account_create_response__free_unpacked(response, NULL);
}

static void write_body(struct bench *b, struct slice body)
{
    kv_batch_clear(b->batch);
    machine_body_key(PARTITION, b->index + 1, &b->key);
    kv_batch_put(b->batch, KV_BODY, buf_slice(&b->key), body);
    must(kv_write(b->kv, b->batch), "body");
}

static void make_mail(struct buf *mail, struct buf *summary)
{
    buf_add_str(
        mail,
        "From: Alice <alice@example.test>\r\nTo: Bob <bob@example.test>\r\nSubject: the minutes of Monday\r\n"
        "Date: Mon, 23 Nov 2026 10:00:00 +0100\r\nMessage-ID: <1@example.test>\r\n\r\n");
    while (mail->len < BODY_SIZE)
        buf_addf(mail, "Line %zu of a message as long as most are, with some words in it.\r\n", mail->len);
    struct summary_builder *builder = summary_builder_new(SUMMARY_STORED_MAX);
    summary_builder_push(builder, buf_slice(mail));
    summary_builder_finish(builder, summary);
    summary_builder_free(&builder);
}

static void bench_deliver(struct bench *b, const uint64_t *accounts, unsigned count)
{
    struct buf mail = { 0 }, summary = { 0 };
    make_mail(&mail, &summary);
    Tern__NewMessage message = TERN__NEW_MESSAGE__INIT;
    message.size = mail.len;
    message.summary = (ProtobufCBinaryData){ summary.len, summary.data };
    Tern__DeliverTarget target = TERN__DELIVER_TARGET__INIT, *targets[] = { &target };
    Tern__DeliverRequest request = TERN__DELIVER_REQUEST__INIT;
    request.message = &message;
    request.targets = targets;
    request.n_targets = 1;
    uint8_t id[REQUEST_ID_SIZE] = { 0 };
    request.delivery_id = (ProtobufCBinaryData){ sizeof id, id };
    uint64_t apply_ns = 0, commit_ns = 0, body_ns = 0;
    for (unsigned i = 0; i < count; i++) {
        memcpy(id, (uint64_t[]){ __builtin_bswap64(b->time_ms), i }, sizeof id);
        target.account = accounts[i % ACCOUNTS];
        make_entry(b, METHOD_DELIVER, &request.base, mail.len);
        uint64_t start = cpu_ns();
        write_body(b, buf_slice(&mail));
        uint64_t wrote = cpu_ns();
        apply(b);
        uint64_t applied = cpu_ns();
        if (i % ENTRIES_A_COMMIT == ENTRIES_A_COMMIT - 1)
            must(kv_txn_commit(b->txn), "commit");
        body_ns += wrote - start;
        apply_ns += applied - wrote;
        commit_ns += cpu_ns() - applied;
    }
    must(kv_txn_commit(b->txn), "commit");
    printf("deliver: %u of %zu bytes, summary %zu: apply %.1f us, commit %.1f us, body %.1f us each\n", count,
           mail.len, summary.len, (double)apply_ns / count / 1000, (double)commit_ns / count / 1000,
           (double)body_ns / count / 1000);
    buf_fini(&mail);
    buf_fini(&summary);
}

static void read_all(struct bench *b, uint32_t method, const ProtobufCMessage *request, const char *what)
{
    b->request.len = 0;
    buf_reserve(&b->request, protobuf_c_message_get_packed_size(request));
    b->request.len = protobuf_c_message_pack(request, b->request.data);
    struct kv_view *view = kv_view_new(b->kv);
    uint64_t start = cpu_ns();
    must(machine_read(b->kv, view, PARTITION, method, buf_slice(&b->request), &b->response, &b->rows), what);
    printf("%s: %.2f ms, %zu bytes of rows\n", what, (double)(cpu_ns() - start) / 1e6, b->rows.len);
    kv_view_free(&view);
}

static uint64_t inbox_of(struct bench *b, uint64_t account)
{
    Tern__MailboxOpenRequest request = TERN__MAILBOX_OPEN_REQUEST__INIT;
    request.account = account;
    request.name = (char *)"INBOX";
    request.with_uids = true;
    read_all(b, METHOD_MAILBOX_OPEN, &request.base, "open with UIDs");
    Tern__MailboxOpenResponse *response =
        tern__mailbox_open_response__unpack(NULL, b->response.len, b->response.data);
    uint64_t id = response->mailbox->id;
    tern__mailbox_open_response__free_unpacked(response, NULL);
    return id;
}

static void timed(struct bench *b, uint32_t method, const ProtobufCMessage *request, const char *what,
                  int count)
{
    uint64_t start = cpu_ns();
    call(b, method, request);
    printf("%s of %d: %.2f ms\n", what, count, (double)(cpu_ns() - start) / 1e6);
}

static ProtobufCBinaryData uids_of(struct buf *out, uint32_t first, uint32_t count)
{
    struct uidset set = { 0 };
    uidset_add_range(&set, first, first + count - 1);
    buf_clear(out);
    uidset_encode(&set, out);
    uidset_fini(&set);
    return (ProtobufCBinaryData){ out->len, out->data };
}

static void sweep(struct bench *b)
{
    struct entry_header header = { .version = MACHINE_VERSION,
                                   .method = ENTRY_SWEEP,
                                   .time_ms = ++b->time_ms };
    buf_clear(&b->entry);
    entry_encode(&header, SLICE_NULL, &b->entry);
    uint64_t start = cpu_ns();
    apply(b);
    must(kv_txn_commit(b->txn), "commit");
    printf("a sweep: %.2f ms\n", (double)(cpu_ns() - start) / 1e6);
}

/* The largest entries there are, each in its own transaction. */
static void bench_change(struct bench *b, uint64_t account, uint64_t inbox)
{
    struct buf uids = { 0 };
    uint8_t id[REQUEST_ID_SIZE] = "a stage's name";
    Tern__CopyRequest copy = TERN__COPY_REQUEST__INIT;
    copy.account = account;
    copy.from = copy.to = inbox;
    copy.uids = uids_of(&uids, 1, COPY_UIDS_MAX);
    timed(b, METHOD_COPY, &copy.base, "copy", COPY_UIDS_MAX);
    copy.move = true;
    timed(b, METHOD_COPY, &copy.base, "move", COPY_UIDS_MAX);
    Tern__CopyStageRequest stage = TERN__COPY_STAGE_REQUEST__INIT;
    stage.account = account;
    stage.from = stage.to = inbox;
    stage.stage = (ProtobufCBinaryData){ sizeof id, id };
    stage.total = COPY_UIDS_MAX;
    stage.move = true;
    stage.uids = uids_of(&uids, READ_MESSAGES - COPY_UIDS_MAX, COPY_UIDS_MAX);
    timed(b, METHOD_COPY_STAGE, &stage.base, "step of a staged move", COPY_UIDS_MAX);
    Tern__CopyCommitRequest commit = TERN__COPY_COMMIT_REQUEST__INIT;
    commit.account = account;
    commit.stage = stage.stage;
    timed(b, METHOD_COPY_COMMIT, &commit.base, "its commit", COPY_UIDS_MAX);
    sweep(b);
    Tern__ExpungeRequest expunge = TERN__EXPUNGE_REQUEST__INIT;
    expunge.account = account;
    expunge.mailbox = inbox;
    expunge.uids = uids_of(&uids, READ_MESSAGES - COPY_UIDS_MAX - EXPUNGE_UIDS_MAX, EXPUNGE_UIDS_MAX);
    timed(b, METHOD_EXPUNGE, &expunge.base, "expunge", EXPUNGE_UIDS_MAX);
    buf_fini(&uids);
}

/* One mailbox of many messages, as a session sees it. */
static void bench_read(struct bench *b)
{
    uint64_t account[ACCOUNTS];
    create_account(b, ACCOUNTS, &account[0]);
    for (int i = 1; i < ACCOUNTS; i++)
        account[i] = account[0];
    bench_deliver(b, account, READ_MESSAGES);
    uint64_t inbox = inbox_of(b, account[0]);
    struct uidset all = { 0 };
    uidset_add_range(&all, 1, READ_MESSAGES);
    struct buf uids = { 0 };
    uidset_encode(&all, &uids);
    Tern__FetchRequest fetch = TERN__FETCH_REQUEST__INIT;
    fetch.account = account[0];
    fetch.mailbox = inbox;
    fetch.uids = (ProtobufCBinaryData){ uids.len, uids.data };
    fetch.max_bytes = FETCH_PAGE_MAX;
    for (int i = 0; i < 3; i++)
        read_all(b, METHOD_FETCH, &fetch.base, "flags of 10,000");
    fetch.items = TERN__FETCH_ITEM__FETCH_SUMMARY;
    read_all(b, METHOD_FETCH, &fetch.base, "summaries, one page");
    fetch.items = TERN__FETCH_ITEM__FETCH_BODY;
    read_all(b, METHOD_FETCH, &fetch.base, "bodies, one page");

    Tern__StoreFlagsRequest store = TERN__STORE_FLAGS_REQUEST__INIT;
    store.account = account[0];
    store.mailbox = inbox;
    store.mode = TERN__STORE_MODE__STORE_ADD;
    store.flags = MAIL_SEEN;
    uidset_clear(&all);
    uidset_add_range(&all, 1, STORE_UIDS_MAX);
    buf_clear(&uids);
    uidset_encode(&all, &uids);
    store.uids = (ProtobufCBinaryData){ uids.len, uids.data };
    timed(b, METHOD_STORE_FLAGS, &store.base, "store", STORE_UIDS_MAX);
    Tern__ChangesRequest changes = TERN__CHANGES_REQUEST__INIT;
    changes.account = account[0];
    changes.mailbox = inbox;
    changes.since_modseq = b->result.changes[0].modseq - 1;
    read_all(b, METHOD_CHANGES, &changes.base, "changes of those");
    uidset_fini(&all);
    buf_fini(&uids);
    bench_change(b, account[0], inbox);
}

/* ENTRY_RECOVER, before which nothing of a partition is served: accounts with `each` mailboxes more. */
static void bench_recover(struct bench *b, int first, int accounts, int each)
{
    Tern__MailboxCreateRequest request = TERN__MAILBOX_CREATE_REQUEST__INIT;
    char name[32];
    request.name = name;
    for (int i = 0; i < accounts; i++) {
        create_account(b, first + i, &request.account);
        for (int m = 1; m < each; m++) {
            snprintf(name, sizeof name, "Folder %d", m);
            call(b, METHOD_MAILBOX_CREATE, &request.base);
        }
    }
    struct entry_header header = { .version = MACHINE_VERSION,
                                   .method = ENTRY_RECOVER,
                                   .time_ms = ++b->time_ms };
    buf_clear(&b->entry);
    entry_encode(&header, SLICE_NULL, &b->entry);
    uint64_t start = cpu_ns();
    apply(b);
    uint64_t applied = cpu_ns();
    must(kv_txn_commit(b->txn), "commit");
    printf("recover: %d accounts of %d mailboxes more: apply %.1f ms, commit %.1f ms\n", accounts, each,
           (double)(applied - start) / 1e6, (double)(cpu_ns() - applied) / 1e6);
}

int main(int argc, char **argv)
{
    unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100000;
    char folder[] = "/tmp/machine_bench.XXXXXX";
    const char *path = argc > 2 ? argv[2] : mkdtemp(folder);
    struct kv_options options = { .path = path,
                                  .memory_limit = 256 << 20,
                                  .wal_size_max = 256 << 20,
                                  .files_open_max = 500,
                                  .background_threads = 2 };
    struct bench b = { .time_ms = UINT64_C(1700000000) * 1000 };
    must(kv_open_rocksdb(&options, &b.kv), "open");
    b.txn = kv_txn_new(b.kv);
    b.batch = kv_batch_new(b.kv);
    uint64_t accounts[ACCOUNTS];
    for (int i = 0; i < ACCOUNTS; i++)
        create_account(&b, i, &accounts[i]);
    bench_deliver(&b, accounts, count);
    bench_read(&b);
    bench_recover(&b, 10 * ACCOUNTS, 2000, 5);
    bench_recover(&b, 100 * ACCOUNTS, 1, 4000);
    kv_batch_free(&b.batch);
    kv_txn_free(&b.txn);
    kv_close(&b.kv);
    machine_result_fini(&b.result);
    buf_fini(&b.request);
    buf_fini(&b.entry);
    buf_fini(&b.key);
    buf_fini(&b.response);
    buf_fini(&b.rows);
    printf("database left in %s\n", path);
    return 0;
}
