/* SPDX-License-Identifier: Apache-2.0 */
/* How fast one storage node takes mail: DELIVERs from many callers to a node in a process of its own
 * (forked), with a director that is just enough, on a real disk.
 *
 *   storage_bench [--dir DIR] [--clients N] [--messages N] [--size BYTES] [--accounts N] [--partitions N]
 * [--workers N] Prints the rate, CPU a message (node, caller), and what the node's figures say about fsyncs
 * and batches. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/rand.h"
#include "lib/fiber/fiber.h"
#include "lib/rpc/client.h"
#include "lib/rpc/endpoint.h"
#include "proto/account.pb-c.h"
#include "proto/message.pb-c.h"
#include "proto/methods.h"
#include "storage-node/node.h"
#include "tests/unit/storage-node/node/fake_director.h"

enum { CALL_MS = 30 * 1000, PAUSE_MS = 20, SUMMARY_SIZE = 900 /* of ordinary mail */ };

struct options {
    const char *dir;
    unsigned clients, messages, size, accounts, partitions, workers;
};

struct bench {
    struct options options;
    struct loop *loop;
    struct rpc_client *client;
    struct rpc_peer *peer;
    struct fake_director *director;
    uint64_t *account_ids;
    uint64_t time_seen;
    unsigned started, done, alive;
    uint64_t busy, latency_ns, latency_max_ns;
    struct buf message, summary;
};

static uint64_t cpu_us(int who)
{
    struct rusage u;
    getrusage(who, &u);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* utime + stime of another process, in microseconds. */
static uint64_t cpu_us_of(pid_t pid)
{
    char path[64], line[1024];
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return 0;
    if (fgets(line, sizeof line, f) != NULL) {
        const char *p = strrchr(line, ')');
        if (p != NULL)
            sscanf(p, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    }
    fclose(f);
    return (user + system) * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

static void make_id(struct bench *b, uint8_t *id)
{
    uint64_t r = rand_u64();
    for (int i = 0; i < 8; i++) {
        id[i] = (uint8_t)(b->time_seen >> (56 - 8 * i));
        id[8 + i] = (uint8_t)(r >> (8 * i));
    }
}

static enum err call(struct bench *b, uint32_t method, uint32_t partition, const ProtobufCMessage *request,
                     struct slice body, struct rpc_call *out)
{
    for (;;) {
        uint8_t id[REQUEST_ID_SIZE];
        make_id(b, id);
        *out = (struct rpc_call){
            .method = method, .partition = partition, .deadline_ms = CALL_MS, .request = request, .body = body
        };
        out->request_id = id;
        enum err err = rpc_call(b->peer, out);
        if (err == OK)
            err = out->status;
        if (out->time_ms > b->time_seen)
            b->time_seen = out->time_ms;
        if (err != ERR_BUSY && err != ERR_UNAVAILABLE && err != ERR_NOT_PRIMARY && err != ERR_EXPIRED)
            return err;
        b->busy++;
        rpc_call_fini(out);
        fiber_sleep_ms(PAUSE_MS);
    }
}

static void make_accounts(struct bench *b)
{
    for (unsigned i = 0; i < b->options.accounts; i++) {
        Tern__AccountCreateRequest request = TERN__ACCOUNT_CREATE_REQUEST__INIT;
        Tern__Credential credential = TERN__CREDENTIAL__INIT;
        char address[64];
        struct rpc_call c;
        snprintf(address, sizeof address, "user%u-%d@example.test", i, getpid());
        request.address = address;
        request.credential = &credential;
        enum err err =
            call(b, METHOD_ACCOUNT_CREATE, i % b->options.partitions, &request.base, SLICE_NULL, &c);
        Tern__AccountCreateResponse *r =
            err == OK ? tern__account_create_response__unpack(NULL, c.response.len, c.response.data) : NULL;
        if (r == NULL)
            log_fatal("bench", "AccountCreate: %s", err_text(err));
        b->account_ids[i] = r->account->id;
        tern__account_create_response__free_unpacked(r, NULL);
        rpc_call_fini(&c);
    }
}

static void deliver(struct bench *b, unsigned number)
{
    unsigned account = number % b->options.accounts;
    Tern__DeliverRequest request = TERN__DELIVER_REQUEST__INIT;
    Tern__NewMessage message = TERN__NEW_MESSAGE__INIT;
    Tern__DeliverTarget target = TERN__DELIVER_TARGET__INIT, *targets[] = { &target };
    uint8_t id[REQUEST_ID_SIZE];
    struct rpc_call c;
    make_id(b, id);
    request.delivery_id = (ProtobufCBinaryData){ sizeof id, id };
    message.size = b->message.len;
    message.summary = (ProtobufCBinaryData){ b->summary.len, b->summary.data };
    target.account = b->account_ids[account];
    request.message = &message;
    request.n_targets = 1;
    request.targets = targets;
    uint64_t start = clock_mono_ns();
    enum err err =
        call(b, METHOD_DELIVER, account % b->options.partitions, &request.base, buf_slice(&b->message), &c);
    if (err != OK)
        log_fatal("bench", "Deliver: %s %s", err_text(err), c.detail);
    rpc_call_fini(&c);
    uint64_t took = clock_mono_ns() - start;
    b->latency_ns += took;
    if (took > b->latency_max_ns)
        b->latency_max_ns = took;
    b->done++;
}

static void client_fiber(void *arg)
{
    struct bench *b = arg;
    while (b->started < b->options.messages)
        deliver(b, b->started++);
    if (--b->alive == 0)
        loop_stop(b->loop);
}

static void first_fiber(void *arg)
{
    struct bench *b = arg;
    char endpoint[RPC_ENDPOINT_MAX] = "";
    while (endpoint[0] == '\0') {
        fiber_sleep_ms(PAUSE_MS);
        fake_director_node_endpoint(b->director, endpoint, sizeof endpoint);
    }
    b->peer = rpc_client_peer(b->client, endpoint, RPC_ROLE_STORAGE_NODE);
    make_accounts(b);
    loop_stop(b->loop);
}

/* ---- the node's process */

static void node_process(const struct options *o, const char *director, int ready, int end)
{
    struct node_config config;
    struct node *node;
    struct buf text = { 0 }, errors = { 0 };
    char byte = 0;
    buf_addf(&text,
             "data = \"%s/data\"; listen = \"tcp://127.0.0.1:0\"; directors = [ \"%s\" ]; user = \"\"; "
             "http_listen = \"\"; "
             "workers = %u; disk_reserve = 0;",
             o->dir, director, o->workers);
    if (config_load_text(&node_config_table, "bench", buf_slice(&text), &config, &errors) != OK)
        log_fatal("bench", "%s", buf_cstr(&errors));
    if (node_start(&config, &node) != OK)
        exit(1);
    if (write(ready, &byte, 1) != 1 || read(end, &byte, 1) < 0)
        exit(1);
    struct buf figures = { 0 };
    metrics_print(&figures);
    for (char *line = strtok((char *)(uintptr_t)buf_cstr(&figures), "\n"); line != NULL;
         line = strtok(NULL, "\n")) {
        if (strncmp(line, "tern_log_", 9) == 0 || strncmp(line, "tern_apply", 10) == 0 ||
            strncmp(line, "tern_entries", 12) == 0)
            printf("  %s\n", line);
    }
    node_stop(&node);
    exit(0);
}

static void run_load(struct bench *b, pid_t node)
{
    uint64_t node_cpu = cpu_us_of(node), own_cpu = cpu_us(RUSAGE_SELF), start = clock_mono_ns();
    b->alive = b->options.clients;
    for (unsigned i = 0; i < b->options.clients; i++) {
        if (fiber_spawn(b->loop, "client", client_fiber, b) != OK)
            log_fatal("bench", "too many clients");
    }
    loop_run(b->loop);
    double seconds = (double)(clock_mono_ns() - start) / 1e9, count = b->done;
    printf("%u clients, %u messages of %u bytes, %u accounts, %u partitions, %u workers\n",
           b->options.clients, b->done, b->options.size, b->options.accounts, b->options.partitions,
           b->options.workers);
    printf("  %.0f messages/s, latency mean %.2f ms max %.1f ms, refused and repeated %llu\n",
           count / seconds, (double)b->latency_ns / count / 1e6, (double)b->latency_max_ns / 1e6,
           (unsigned long long)b->busy);
    printf("  CPU a message: node %.1f us, callers %.1f us\n", (double)(cpu_us_of(node) - node_cpu) / count,
           (double)(cpu_us(RUSAGE_SELF) - own_cpu) / count);
    fflush(stdout);
}

static void parse(int argc, char **argv, struct options *o)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        unsigned number = (unsigned)strtoul(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--dir") == 0)
            o->dir = argv[i + 1];
        else if (strcmp(argv[i], "--clients") == 0)
            o->clients = number;
        else if (strcmp(argv[i], "--messages") == 0)
            o->messages = number;
        else if (strcmp(argv[i], "--size") == 0)
            o->size = number;
        else if (strcmp(argv[i], "--accounts") == 0)
            o->accounts = number;
        else if (strcmp(argv[i], "--partitions") == 0)
            o->partitions = number;
        else if (strcmp(argv[i], "--workers") == 0)
            o->workers = number;
        else
            log_fatal("bench", "unknown option %s", argv[i]);
    }
}

int main(int argc, char **argv)
{
    struct bench b = { .options = { .clients = 50,
                                    .messages = 50000,
                                    .size = 5000,
                                    .accounts = 100,
                                    .partitions = 64,
                                    .workers = 2 } };
    char folder[] = "/tmp/tern-storage-bench-XXXXXX";
    int to_node[2], from_node[2], director_pipe[2];
    char endpoint[RPC_ENDPOINT_MAX] = "", byte;
    parse(argc, argv, &b.options);
    if (b.options.dir == NULL)
        b.options.dir = mkdtemp(folder);
    if (b.options.dir == NULL || pipe(to_node) != 0 || pipe(from_node) != 0 || pipe(director_pipe) != 0)
        log_fatal("bench", "%s", strerror(errno));
    /* Forked before any thread exists here. */
    pid_t node = fork();
    if (node == 0) {
        close(to_node[1]);
        if (read(director_pipe[0], endpoint, sizeof endpoint) <= 0)
            exit(1);
        node_process(&b.options, endpoint, from_node[1], to_node[0]);
    }
    void *zmq = zmq_ctx_new();
    b.director = fake_director_start(zmq, b.options.partitions);
    snprintf(endpoint, sizeof endpoint, "%s", fake_director_endpoint(b.director));
    if (write(director_pipe[1], endpoint, sizeof endpoint) < 0 || read(from_node[0], &byte, 1) != 1)
        log_fatal("bench", "the node does not start");
    b.account_ids = NEW_ARRAY(uint64_t, b.options.accounts);
    buf_add_str(&b.message, "Subject: load\r\n\r\n");
    while (b.message.len < b.options.size)
        buf_addf(&b.message, "%016llx line of a message that compresses as mail does\r\n",
                 (unsigned long long)rand_u64());
    for (int i = 0; i < SUMMARY_SIZE; i++)
        buf_add_byte(&b.summary, (uint8_t)rand_u64());
    if (loop_new(&b.loop) != OK)
        return 1;
    b.client = rpc_client_new(b.loop, zmq, NULL, NULL, NULL);
    if (fiber_spawn(b.loop, "first", first_fiber, &b) != OK)
        return 1;
    loop_run(b.loop);
    run_load(&b, node);
    rpc_client_free(&b.client);
    loop_free(&b.loop);
    if (write(to_node[1], "", 1) != 1 || waitpid(node, NULL, 0) < 0)
        return 1;
    fake_director_stop(&b.director);
    zmq_ctx_term(zmq);
    if (b.options.dir == folder) {
        char *command = xasprintf("rm -rf %s", folder);
        int rc = system(command);
        free(command);
        return rc;
    }
    return 0;
}
