/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_sim: --seed N runs one schedule with a trace, --seeds A:B many, --smoke a few. See cluster.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "proto/message.pb-c.h"
#include "tests/sim/cluster/cluster.h"

enum {
    SMOKE_SEEDS = 40,
    FAULT_MS = 20000, /* with crashes and cuts */
    CALM_MS = 60000,  /* by then everything must be well again */
    DEADLINE_MS = 4000,
    KEEP_MAX = 20,
};

static const uint64_t ns_per_ms = 1000000;

static uint64_t next_rand(struct cluster *c)
{
    uint64_t x = c->rand += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

uint64_t cluster_below(struct cluster *c, uint64_t n)
{
    return next_rand(c) % n;
}

static bool chance(struct cluster *c, uint64_t per_100k)
{
    return cluster_below(c, 100000) < per_100k;
}

static struct partition_now now_of(const struct cluster *c)
{
    return (struct partition_now){ c->now_ns, c->now_ns / ns_per_ms,
                                   UINT64_C(1700000000000) + c->now_ns / ns_per_ms };
}

static struct replica_node node_name(uint32_t id)
{
    return (struct replica_node){ .store = 100 + id, .id = id };
}

static void must(struct node *n, enum err err, const char *what)
{
    if (err != OK)
        cluster_fail(n->c, "node %u: %s: %s", n->id, what, err_text(err));
}

/* ---- network */

static void post(struct node *n, struct packet *packet, uint32_t to)
{
    struct cluster *c = n->c;
    packet->from = n->id;
    packet->to = to;
    packet->at_ns = c->now_ns + (100 + cluster_below(c, 5000)) * 1000;
    bool lost = c->cut_until[n->id - 1][to - 1] > c->now_ns || (!c->calm && chance(c, 1000));
    if (lost) {
        for (int i = 0; i < LINK_FRAMES; i++)
            buf_fini(&packet->frames[i]);
        free(packet);
        return;
    }
    packet->next = c->packets;
    c->packets = packet;
}

static void on_send(void *arg, struct partition *p, const struct replica_msg *msg)
{
    struct node *n = arg;
    struct packet *packet = NEW(struct packet);
    struct peer_ends ends = { .from = node_name(n->id), .to = msg->peer };
    if (n->crashing || msg->peer.id == 0 || msg->peer.id > NODES) {
        free(packet);
        return;
    }
    if (msg->type == REPLICA_MSG_BEAT_ACK) {
        packet->beat = true;
        packet->msg = *msg;
        post(n, packet, msg->peer.id);
        return;
    }
    struct peer_entries *entries = msg->type == REPLICA_MSG_APPEND ? NEW(struct peer_entries) : NULL;
    n->c->copies += msg->type == REPLICA_MSG_CHUNK && msg->chunk.last;
    if (entries == NULL || peer_gather(p, msg, entries)) {
        peer_encode(PARTITION, &ends, msg, entries, packet->frames);
        post(n, packet, msg->peer.id);
    } else {
        free(packet);
    }
    if (entries != NULL) {
        buf_fini(&entries->entries);
        buf_fini(&entries->bodies);
    }
    free(entries);
}

static void on_beats(void *arg, const struct beats *beats) {}

static void send_beats(struct node *n)
{
    for (uint32_t id = 1; id <= NODES; id++) {
        struct beat_part part;
        if (id == n->id || !partition_beat(n->p, node_name(id), &part))
            continue;
        struct packet *packet = NEW(struct packet);
        packet->beat = true;
        packet->sent_at = n->c->now_ns;
        packet->msg = (struct replica_msg){ .type = REPLICA_MSG_BEAT, .epoch = part.epoch };
        packet->msg.beat.commit = part.commit;
        post(n, packet, id);
    }
    n->next_beat_ns = n->c->now_ns + REPLICA_BEAT_NS;
}

/* An answer carries the time its beat was sent, as the number of a real one stands for it. */
static void take_beat(struct node *n, struct packet *beat)
{
    struct packet *before = n->c->packets;
    beat->msg.peer = node_name(beat->from);
    must(n, partition_message(n->p, now_of(n->c), &beat->msg), "a beat");
    for (struct packet *a = n->c->packets; a != before; a = a->next) {
        if (a->beat && a->msg.type == REPLICA_MSG_BEAT_ACK && a->from == n->id)
            a->sent_at = beat->sent_at;
    }
}

static void deliver(struct node *n, struct packet *packet)
{
    struct cluster *c = n->c;
    if (n->p == NULL)
        return;
    if (packet->beat && packet->msg.type == REPLICA_MSG_BEAT) {
        take_beat(n, packet);
    } else if (packet->beat) {
        packet->msg.peer = node_name(packet->from);
        packet->msg.beat_ack.sent_at = packet->sent_at;
        if (packet->sent_at >= n->up_at_ns) /* of this process (R17) */
            must(n, partition_message(n->p, now_of(c), &packet->msg), "an answer to a beat");
    } else {
        struct slice frames[LINK_FRAMES];
        struct peer_ends ends;
        struct worker_message *m;
        for (int i = 0; i < LINK_FRAMES; i++)
            frames[i] = buf_slice(&packet->frames[i]);
        if (peer_decode(frames, &ends, &m) != OK) {
            cluster_fail(c, "a message does not decode");
            return;
        }
        struct slice rows = buf_slice(&m->rows);
        if (m->msg.type == REPLICA_MSG_APPEND)
            m->msg.append.entries = m->entries;
        if (m->msg.type == REPLICA_MSG_CHUNK)
            m->msg.chunk.handle = &rows;
        must(n, partition_message(n->p, now_of(c), &m->msg), "a message");
        if (m->msg.type == REPLICA_MSG_APPEND)
            m->msg.append.count = 0;
        worker_message_free(m);
    }
}

static void packet_free(struct packet *packet)
{
    for (int i = 0; i < LINK_FRAMES; i++)
        buf_fini(&packet->frames[i]);
    free(packet);
}

static void deliver_due(struct cluster *c)
{
    for (struct packet **at = &c->packets; *at != NULL && !c->failed;) {
        struct packet *packet = *at;
        if (packet->at_ns > c->now_ns) {
            at = &packet->next;
            continue;
        }
        *at = packet->next;
        deliver(&c->nodes[packet->to - 1], packet);
        if (!c->calm && chance(c, 500)) { /* once more, later */
            packet->at_ns = c->now_ns + cluster_below(c, 2000) * ns_per_ms;
            packet->next = c->packets;
            c->packets = packet;
        } else {
            packet_free(packet);
        }
        at = &c->packets; /* the list has changed */
    }
}

/* ---- director */

static void on_ask(void *arg, const struct partition_ask *ask)
{
    struct node *n = arg;
    struct ask *a = NEW(struct ask);
    a->ask = *ask;
    a->node = n->id;
    a->boot = n->boot;
    a->at_ns = n->c->now_ns + cluster_below(n->c, 50) * ns_per_ms;
    a->next = n->c->asks;
    n->c->asks = a;
}

static void give_conf(struct node *n, const struct conf *from, uint64_t ask_id)
{
    struct replica_conf conf = { .epoch = from->epoch, .since = from->since, .handover = from->handover };
    conf.primary = node_name(from->primary);
    conf.member_count = from->member_count;
    conf.learner_count = from->learner_count;
    for (int i = 0; i < from->member_count; i++)
        conf.members[i] = node_name(from->members[i]);
    for (int i = 0; i < from->learner_count; i++)
        conf.learners[i] = node_name(from->learners[i]);
    must(n, partition_conf(n->p, now_of(n->c), &conf, ask_id), "a configuration");
}

static void decide(struct cluster *c, struct ask *a)
{
    static const Tern__ConfChange changes[] = {
        [REPLICA_ASK_READ] = TERN__CONF_CHANGE__CONF_READ,
        [REPLICA_ASK_PROMOTE] = TERN__CONF_CHANGE__CONF_PROMOTE,
        [REPLICA_ASK_EVICT] = TERN__CONF_CHANGE__CONF_EVICT,
        [REPLICA_ASK_ADD] = TERN__CONF_CHANGE__CONF_ADD,
        [REPLICA_ASK_HANDOVER] = TERN__CONF_CHANGE__CONF_HANDOVER,
        [REPLICA_ASK_ADD_LEARNER] = TERN__CONF_CHANGE__CONF_ADD_LEARNER,
        [REPLICA_ASK_DROP_LEARNER] = TERN__CONF_CHANGE__CONF_DROP_LEARNER,
    };
    struct conf_request request = { changes[a->ask.type], a->ask.epoch, a->node, a->ask.node };
    struct conf next;
    if (a->ask.type != REPLICA_ASK_READ && conf_change(&c->conf, &request, true, &next) == OK)
        c->conf = next;
    a->conf = c->conf;
    a->answered = true;
    a->at_ns = c->now_ns + cluster_below(c, 50) * ns_per_ms;
}

static void run_director(struct cluster *c)
{
    for (struct ask **at = &c->asks; *at != NULL;) {
        struct ask *a = *at;
        struct node *n = &c->nodes[a->node - 1];
        if (a->at_ns > c->now_ns) {
            at = &a->next;
        } else if (!a->answered) {
            decide(c, a);
        } else {
            *at = a->next;
            if (n->p != NULL && n->boot == a->boot)
                give_conf(n, &a->conf, a->ask.id);
            free(a);
            at = &c->asks;
        }
    }
    for (int i = 0; i < NODES; i++) {
        struct node *n = &c->nodes[i];
        if (n->p != NULL && n->map_epoch < c->conf.epoch && chance(c, 5000)) {
            n->map_epoch = c->conf.epoch;
            give_conf(n, &c->conf, 0);
        }
    }
}

/* ---- nodes */

static void on_submit(void *arg, struct log_job *job)
{
    struct node *n = arg;
    inbox_chain_add(&n->jobs, &job->item);
}

static void on_notify(void *arg, const struct partition_peer *peer, uint32_t method, uint32_t partition,
                      struct slice packed)
{
}

static void boot_node(struct node *n)
{
    struct cluster *c = n->c;
    struct partition_options options = { .id = PARTITION,
                                         .self = node_name(n->id),
                                         .min_members = 2,
                                         .kv = n->kv,
                                         .host = &n->host,
                                         .pub = &n->pub,
                                         .stats = &n->stats,
                                         .nonce = next_rand(c),
                                         .log_keep_count = c->log_keep };
    n->boot++;
    n->up_at_ns = c->now_ns;
    n->map_epoch = n->checked = 0;
    n->next_beat_ns = c->now_ns;
    n->round = apply_round_new(n->kv);
    must(n, kv_sync(n->kv), "sync");
    must(n, partition_open(&options, now_of(c), &n->p), "opening");
}

static void kill_node(struct node *n, size_t keep)
{
    n->crashing = true;
    while (n->jobs.first != NULL) {
        struct log_job *job = (struct log_job *)n->jobs.first;
        n->jobs.first = n->jobs.first->next;
        partition_written(n->p, job);
    }
    n->jobs.last = NULL;
    partition_close(&n->p);
    apply_round_free(&n->round);
    kv_mem_crash(n->kv, keep);
    n->crashing = false;
}

static void write_log(struct node *n)
{
    if (n->jobs.first == NULL)
        return;
    must(n, log_commit(n->kv, n->batch, n->jobs.first, NULL), "the log");
    while (n->jobs.first != NULL) {
        struct log_job *job = (struct log_job *)n->jobs.first;
        n->jobs.first = n->jobs.first->next;
        partition_written(n->p, job);
    }
    n->jobs.last = NULL;
}

static void run_node(struct node *n)
{
    struct cluster *c = n->c;
    struct partition_now now = now_of(c);
    if (n->p == NULL) {
        if (c->now_ns >= n->up_at_ns)
            boot_node(n);
        return;
    }
    if (chance(c, 60000))
        write_log(n);
    must(n, partition_flush(n->p, now), "flush");
    if (chance(c, 80000))
        must(n, partition_apply(n->round, &n->p, 1, now), "apply");
    if (partition_next_tick(n->p) <= c->now_ns)
        must(n, partition_tick(n->p, now), "tick");
    if (c->now_ns >= n->next_beat_ns)
        send_beats(n);
    if (n->pub.stopped)
        cluster_fail(c, "node %u stopped serving", n->id);
    check_chain(n);
}

/* ---- clients */

struct request {
    struct partition_request base; /* first */
    struct node *n;
    uint32_t number;
    struct buf packed, body;
};

static void on_done(struct partition_request *r, const struct partition_answer *answer)
{
    struct request *request = (struct request *)r;
    struct cluster *c = request->n->c;
    struct write *w = &c->writes[request->number];
    w->pending = false;
    w->retry_at_ns = c->now_ns + cluster_below(c, 300) * ns_per_ms;
    if (!request->n->crashing && answer->status == OK) {
        c->acked += !w->acked;
        w->acked = true;
    } else if (!request->n->crashing && err_class(answer->status) == ERR_CLASS_CALLER) {
        cluster_fail(c, "write %u had an effect twice: %s", request->number, err_text(answer->status));
    }
    buf_fini(&request->packed);
    buf_fini(&request->body);
    free(request);
}

static void push(struct cluster *c, struct node *n, uint32_t number)
{
    struct request *r = NEW(struct request);
    struct write *w = &c->writes[number];
    Tern__UploadChunkRequest message = TERN__UPLOAD_CHUNK_REQUEST__INIT;
    message.upload_id = (ProtobufCBinaryData){ REQUEST_ID_SIZE, w->request_id };
    r->n = n;
    r->number = number;
    r->packed.len = tern__upload_chunk_request__pack(
        &message, buf_reserve(&r->packed, tern__upload_chunk_request__get_packed_size(&message) + 1));
    for (uint32_t i = 0; i < 1 + number * 7919 % 9000; i++)
        buf_add_byte(&r->body, (uint8_t)(number + i));
    r->base = (struct partition_request){ .partition = PARTITION,
                                          .method = METHOD_UPLOAD_CHUNK,
                                          .kind = METHOD_WRITE,
                                          .request = buf_slice(&r->packed),
                                          .body = buf_slice(&r->body),
                                          .deadline_mono_ms = c->now_ns / ns_per_ms + DEADLINE_MS,
                                          .done = on_done };
    memcpy(r->base.request_id, w->request_id, REQUEST_ID_SIZE);
    w->pending = true;
    partition_push(n->p, now_of(c), &r->base);
}

static void run_clients(struct cluster *c)
{
    struct node *n = &c->nodes[cluster_below(c, NODES)];
    if (n->p == NULL || !n->pub.active)
        return;
    if (!c->calm && c->write_count < WRITES_MAX && chance(c, 10000)) {
        struct write *w = &c->writes[c->write_count];
        uint64_t time_ms = now_of(c).real_ms, noise = next_rand(c);
        for (int i = 0; i < 8; i++)
            w->request_id[i] = (uint8_t)(time_ms >> 8 * (7 - i));
        memcpy(w->request_id + 8, &noise, sizeof noise);
        push(c, n, c->write_count++);
    }
    for (uint32_t i = 0; i < c->write_count; i++) {
        struct write *w = &c->writes[i];
        if (!w->pending && !w->acked && w->retry_at_ns <= c->now_ns && n->p != NULL)
            push(c, n, i);
    }
}

/* ---- faults and runs */

static void make_faults(struct cluster *c)
{
    if (chance(c, 60)) {
        struct node *n = &c->nodes[cluster_below(c, NODES)];
        uint64_t down_ms = chance(c, 50000) ? cluster_below(c, 300) : cluster_below(c, 6000);
        if (n->p != NULL) {
            kill_node(n, chance(c, 30000) ? SIZE_MAX : cluster_below(c, KEEP_MAX));
            n->up_at_ns = c->now_ns + down_ms * ns_per_ms;
            c->crashes++;
        }
    }
    if (chance(c, 60)) {
        c->cut_until[cluster_below(c, NODES)][cluster_below(c, NODES)] =
            c->now_ns + cluster_below(c, 4000) * ns_per_ms;
        c->cuts++;
    }
}

static void init(struct cluster *c, uint64_t seed)
{
    uint32_t members[NODES] = { 1, 2, 3 };
    memset(c, 0, sizeof *c);
    c->rand = seed * 0x9e3779b97f4a7c15 + 1;
    c->now_ns = UINT64_C(1000000000000);
    c->conf = conf_create(PARTITION, 1 + (uint32_t)cluster_below(c, NODES), members, NODES);
    c->log_keep = 1 + (uint32_t)cluster_below(c, 40);
    for (uint32_t i = 0; i < NODES; i++) {
        struct node *n = &c->nodes[i];
        n->c = c;
        n->id = i + 1;
        n->kv = kv_open_mem();
        n->batch = kv_batch_new(n->kv);
        n->transport = (struct peer_transport){ n, on_send, on_beats };
        n->host = (struct partition_host){ n, on_submit, on_notify, on_ask, &n->transport, NULL };
        boot_node(n);
    }
}

static void fini(struct cluster *c)
{
    for (int i = 0; i < NODES; i++) {
        if (c->nodes[i].p != NULL)
            kill_node(&c->nodes[i], 0);
        kv_batch_free(&c->nodes[i].batch);
        kv_close(&c->nodes[i].kv);
    }
    while (c->packets != NULL) {
        struct packet *next = c->packets->next;
        packet_free(c->packets);
        c->packets = next;
    }
    while (c->asks != NULL) {
        struct ask *next = c->asks->next;
        free(c->asks);
        c->asks = next;
    }
}

static void step(struct cluster *c)
{
    c->now_ns += (1 + cluster_below(c, 3)) * ns_per_ms;
    deliver_due(c);
    run_director(c);
    for (int i = 0; i < NODES && !c->failed; i++)
        run_node(&c->nodes[i]);
    run_clients(c);
    if (!c->calm)
        make_faults(c);
}

static bool run_seed(uint64_t seed, bool verbose)
{
    struct cluster *c = NEW(struct cluster);
    init(c, seed);
    uint64_t end = c->now_ns + FAULT_MS * ns_per_ms;
    while (c->now_ns < end && !c->failed)
        step(c);
    c->calm = true;
    memset(c->cut_until, 0, sizeof c->cut_until);
    end = c->now_ns + CALM_MS * ns_per_ms;
    while (c->now_ns < end && !c->failed && !check_converged(c))
        step(c);
    if (!c->failed && !check_converged(c))
        cluster_fail(c, "not all well %d s after the last fault", CALM_MS / 1000);
    if (!c->failed)
        check_rows(c);
    if (verbose || c->failed)
        printf("seed %" PRIu64 ": %s; epoch %" PRIu64 ", %" PRIu64 " acknowledged of %u, %" PRIu64
               " crashes, %" PRIu64 " cuts, %" PRIu64 " copies of the state\n",
               seed, c->failed ? c->failure : "ok", c->conf.epoch, c->acked, c->write_count, c->crashes,
               c->cuts, c->copies);
    bool good = !c->failed;
    fini(c);
    free(c);
    return good;
}

int main(int argc, char **argv)
{
    uint64_t from = 1, to = SMOKE_SEEDS;
    bool verbose = false;
    if (argc == 3 && strcmp(argv[1], "--seed") == 0) {
        from = to = strtoull(argv[2], NULL, 10);
        verbose = true;
    } else if (argc == 3 && strcmp(argv[1], "--seeds") == 0 && strchr(argv[2], ':') != NULL) {
        from = strtoull(argv[2], NULL, 10);
        to = strtoull(strchr(argv[2], ':') + 1, NULL, 10);
        verbose = true;
    } else if (argc != 2 || strcmp(argv[1], "--smoke") != 0) {
        fprintf(stderr, "usage: cluster_sim --smoke | --seed N | --seeds A:B\n");
        return 2;
    }
    uint64_t failed = 0;
    for (uint64_t seed = from; seed <= to; seed++)
        failed += !run_seed(seed, verbose);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", to - from + 1 - failed, failed);
    return failed == 0 ? 0 : 1;
}
