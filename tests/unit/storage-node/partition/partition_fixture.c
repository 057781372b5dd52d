/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/storage-node/partition/partition_fixture.h"

const struct replica_node self = { .store = 1, .id = 11 }, other = { .store = 2, .id = 12 };

static void on_submit(void *arg, struct log_job *job)
{
    struct fixture *f = arg;
    inbox_chain_add(&f->jobs, &job->item);
}

static void on_notify(void *arg, const struct partition_peer *peer, uint32_t method, uint32_t partition,
                      struct slice packed)
{
}

static void on_ask(void *arg, const struct partition_ask *ask)
{
    struct fixture *f = arg;
    f->asks++;
    f->last_ask = *ask;
}

static void on_send(void *arg, struct partition *p, const struct replica_msg *msg)
{
    struct fixture *f = arg;
    f->sends++;
    f->last_sent = *msg;
    f->last_rows = msg->type == REPLICA_MSG_CHUNK ? ((const struct slice *)msg->chunk.handle)->len : 0;
}

static void on_beats(void *arg, const struct beats *beats) {}

static void on_flush(void *arg) {}

static uint8_t speaks(void *arg, struct replica_node node)
{
    assert_true(replica_node_eq(node, other));
    return ((struct fixture *)arg)->other_speaks;
}

static struct peer_transport peers = { NULL, on_send, on_beats, on_flush, speaks };

void open_partition(struct fixture *f)
{
    struct partition_options options = {
        .id = PARTITION,
        .self = self,
        .min_members = 1,
        .kv = f->kv,
        .host = &f->host,
        .pub = &f->pub,
        .stats = &f->stats,
        .log_keep_count = f->log_keep,
        .copy_chunk_bytes = f->copy_chunk,
        .machine_version_max = f->version_max,
        .fault_list = f->faults,
    };
    assert_int_equal(partition_open(&options, f->now, &f->p), OK);
}

void give_conf(struct fixture *f, uint64_t epoch, bool with_other, uint64_t ask_id)
{
    struct replica_conf conf = {
        .epoch = epoch, .since = 1, .primary = self, .member_count = with_other ? 2 : 1
    };
    conf.members[0] = self;
    conf.members[1] = other;
    assert_int_equal(partition_conf(f->p, f->now, &conf, ask_id), OK);
}

int set_up(void **state)
{
    struct fixture *f = NEW(struct fixture);
    f->kv = kv_open_mem();
    f->faults = faults_new();
    f->batch = kv_batch_new(f->kv);
    f->round = apply_round_new(f->kv);
    peers.arg = f;
    f->host = (struct partition_host){ f, on_submit, on_notify, on_ask, &peers, NULL, NULL };
    f->now = (struct partition_now){ UINT64_C(5000000000), 5000, UINT64_C(1700000000000) };
    open_partition(f);
    *state = f;
    return 0;
}

/* The log writer's part: everything submitted is on disk. */
void write_log(struct fixture *f)
{
    if (f->jobs.first == NULL)
        return;
    assert_int_equal(log_commit(f->kv, f->batch, f->jobs.first, NULL), OK);
    while (f->jobs.first != NULL) {
        struct log_job *job = (struct log_job *)f->jobs.first;
        f->jobs.first = f->jobs.first->next;
        partition_written(f->p, job);
    }
    f->jobs.last = NULL;
}

void flush(struct fixture *f)
{
    assert_int_equal(partition_flush(f->p, f->now), OK);
}

void apply(struct fixture *f)
{
    assert_int_equal(partition_apply(f->round, &f->p, 1, f->now), OK);
}

void turn(struct fixture *f)
{
    for (int i = 0; i < 3; i++) {
        flush(f);
        write_log(f);
        flush(f);
        apply(f);
    }
}

int tear_down(void **state)
{
    struct fixture *f = *state;
    write_log(f);
    partition_close(&f->p);
    faults_free(&f->faults);
    apply_round_free(&f->round);
    kv_batch_free(&f->batch);
    kv_close(&f->kv);
    free(f);
    return 0;
}

void advance(struct fixture *f, uint64_t ms)
{
    f->now.boot_ns += ms * 1000000;
    f->now.mono_ms += ms;
    f->now.real_ms += ms;
}

/* ---- requests */

void on_done(struct partition_request *r, const struct partition_answer *answer)
{
    struct request *request = (struct request *)r;
    struct fixture *f = request->f;
    assert_true(f->answer_count < ANSWERS_MAX);
    f->answers[f->answer_count++] = answer->status;
    if (r->method == METHOD_ACCOUNT_CREATE && answer->status == OK) {
        Tern__AccountCreateResponse *response =
            tern__account_create_response__unpack(NULL, answer->response->len, answer->response->data);
        f->account = response->account->id;
        tern__account_create_response__free_unpacked(response, NULL);
    }
    if (r->method == METHOD_WATCH && answer->status == OK) {
        Tern__WatchResponse *response =
            tern__watch_response__unpack(NULL, answer->response->len, answer->response->data);
        f->watch_epoch = response->epoch;
        tern__watch_response__free_unpacked(response, NULL);
    }
    buf_fini(&request->packed);
    buf_fini(&request->body);
    free(request);
}

void push(struct fixture *f, uint32_t method, enum method_kind kind, const ProtobufCMessage *message,
          struct slice body, uint64_t deadline_in_ms)
{
    struct request *r = NEW(struct request);
    r->f = f;
    r->packed.len = protobuf_c_message_pack(
        message, buf_reserve(&r->packed, protobuf_c_message_get_packed_size(message) + 1));
    buf_add_slice(&r->body, body);
    r->base =
        (struct partition_request){ .partition = PARTITION, .method = method, .kind = kind, .done = on_done };
    r->base.request = buf_slice(&r->packed);
    r->base.body = buf_slice(&r->body);
    r->base.deadline_mono_ms = f->now.mono_ms + deadline_in_ms;
    uint32_t name = ++f->next_name;
    for (int i = 0; i < 8; i++)
        r->base.request_id[i] = (uint8_t)(f->now.real_ms >> (56 - 8 * i));
    memcpy(r->base.request_id + 8, &name, sizeof name);
    partition_push(f->p, f->now, &r->base);
}

void push_account(struct fixture *f, const char *address)
{
    Tern__AccountCreateRequest request = TERN__ACCOUNT_CREATE_REQUEST__INIT;
    Tern__Credential credential = TERN__CREDENTIAL__INIT;
    request.address = (char *)address;
    request.credential = &credential;
    push(f, METHOD_ACCOUNT_CREATE, METHOD_WRITE, &request.base, SLICE_NULL, 1000);
}

void push_alias(struct fixture *f, uint64_t deadline_in_ms)
{
    Tern__AliasPutRequest request = TERN__ALIAS_PUT_REQUEST__INIT;
    char *targets[] = { (char *)"x@example.test" };
    char address[64];
    snprintf(address, sizeof address, "alias%u@example.test", f->next_name);
    request.address = address;
    request.targets = targets;
    request.n_targets = 1;
    push(f, METHOD_ALIAS_PUT, METHOD_WRITE, &request.base, SLICE_NULL, deadline_in_ms);
}

enum err last_answer(const struct fixture *f)
{
    assert_true(f->answer_count > 0);
    return f->answers[f->answer_count - 1];
}

struct replica_info info_of(struct fixture *f)
{
    struct replica_info info;
    partition_info(f->p, &info);
    return info;
}
