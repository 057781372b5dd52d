/* SPDX-License-Identifier: Apache-2.0 */
/* tern-frontend: SMTP, IMAP and POP3 for clients; keeps nothing (P4).
 *
 * Start: configuration, ports bound, HTTP, privileges dropped, one loop a thread with its own store client.
 * SIGTERM: no new connections, sessions say good-bye between commands, what is left after drain_timeout is
 * cut. SIGHUP: certificates and the keys for other programs are read again. */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "frontend/common/context.h"
#include "frontend/listeners.h"
#include "frontend/queue/queue.h"
#include "frontend/smtp/known.h"
#include "frontend/smtp/patience.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/fiber/fiber.h"
#include "lib/fiber/timer.h"
#include "lib/mail/charset.h"
#include "lib/ops/http.h"
#include "lib/ops/memory.h"
#include "lib/ops/privileges.h"
#include "lib/ops/signals.h"
#include "lib/store/keys.h"

enum {
    READY_CHECK_MS = 100,
    DRAIN_CHECK_MS = 20,
    ABORT_WAIT_MS = 1000, /* for sessions that were cut */
    CLOSE_WAIT_MS = 2000, /* for the loops to end in order; then the process just ends: it holds nothing */
    MEMORY_KEPT =
        8 << 20, /* bytes an arena: the pages that a FETCH of bodies has under way, and as encrypted */
};

/* One thread. */
struct lane {
    struct context context;
    struct patience patience;
    pthread_t thread;
    struct timer ready_timer;
    atomic_bool ready;
    atomic_bool ended;
};

static struct frontend_config config;
static struct settings settings;
static struct lane *lanes;
static size_t lane_count;
static struct tls_server *tls;
static struct listeners *listeners;
static struct queue *queue; /* runs on the first lane */
static atomic_bool draining;
static sem_t drain_wanted;

/* ---- readiness */

static void check_ready(void *arg)
{
    struct lane *lane = arg;
    atomic_store(&lane->ready, store_is_ready(lane->context.store, NULL));
    timer_start(lane->context.loop, &lane->ready_timer, loop_deadline_ms(READY_CHECK_MS), check_ready, lane);
}

static void not_ready(struct buf *reasons, void *arg)
{
    (void)arg;
    if (atomic_load(&draining))
        buf_add_str(reasons, "draining\n");
    for (size_t i = 0; i < lane_count; i++) {
        if (!atomic_load(&lanes[i].ready)) {
            buf_add_str(reasons, "no map with placed partitions from any director yet\n");
            return;
        }
    }
}

/* ---- start */

static void read_settings(void)
{
    if (config.directors.count == 0 || config.directors.count > STORE_DIRECTORS_MAX)
        log_fatal("frontend", "directors: 1 to %d must be named", STORE_DIRECTORS_MAX);
    if (config.storage_nodes.count > STORE_NODES_MAX)
        log_fatal("frontend", "storage_nodes: more than %d", STORE_NODES_MAX);
    settings = (struct settings){
        .hostname = config.hostname,
        .message_size_max = config.message_size_max,
        .allow_plaintext_auth = config.allow_plaintext_auth,
        .smtp_recipients_max = (uint32_t)config.recipients_max,
        .smtp_idle_timeout_ms = (uint32_t)config.smtp_idle_timeout_ms,
        .imap_idle_timeout_ms = (uint32_t)config.imap_idle_timeout_ms,
        .pop3_idle_timeout_ms = (uint32_t)config.pop3_idle_timeout_ms,
        .login_timeout_ms = (uint32_t)config.login_timeout_ms,
    };
}

static void *run_lane(void *arg)
{
    struct lane *lane = arg;
    context_set_self(&lane->context);
    loop_run(lane->context.loop);
    atomic_store(&lane->ended, true);
    return NULL;
}

static void make_lane(struct lane *lane)
{
    struct store_options options = {
        .directors = (const char *const *)config.directors.items,
        .director_count = config.directors.count,
        .nodes = (const char *const *)config.storage_nodes.items,
        .node_count = config.storage_nodes.count,
    };
    if (loop_new(&lane->context.loop) != OK)
        log_fatal("frontend", "cannot make an event loop");
    lane->context.store = store_new(lane->context.loop, &options);
    lane->context.auth = auth_new(lane->context.store);
    lane->context.known = known_new();
    lane->context.patience = &lane->patience;
    lane->context.tls = tls;
    lane->context.settings = &settings;
    check_ready(lane);
}

static void start_queue(void)
{
    struct buf holder = { 0 };
    buf_addf(&holder, "%s %d", config.hostname, (int)getpid());
    queue = queue_start(lanes[0].context.loop, lanes[0].context.store, buf_cstr(&holder));
    buf_fini(&holder);
    for (size_t i = 0; i < lane_count; i++)
        lanes[i].context.queue = queue;
}

static void start_lanes(void)
{
    lane_count = config.threads > 0 ? (size_t)config.threads : (size_t)sysconf(_SC_NPROCESSORS_ONLN);
    lanes = NEW_ARRAY(struct lane, lane_count);
    struct loop **loops = NEW_ARRAY(struct loop *, lane_count);
    for (size_t i = 0; i < lane_count; i++) {
        make_lane(&lanes[i]);
        loops[i] = lanes[i].context.loop;
    }
    start_queue();
    listeners_start(listeners, loops, lane_count);
    free(loops);
    for (size_t i = 0; i < lane_count; i++) {
        if (pthread_create(&lanes[i].thread, NULL, run_lane, &lanes[i]) != 0)
            log_fatal("frontend", "cannot start a thread");
        pthread_setname_np(lanes[i].thread, "loop");
    }
}

/* ---- end */

static void on_drain(void *arg)
{
    (void)arg;
    sem_post(&drain_wanted);
}

static void on_reload(void *arg)
{
    (void)arg;
    store_keys_reload();
    if (tls != NULL && tls_server_reload(tls) == OK)
        log_info("frontend", "certificates read again");
}

static void sleep_ms(unsigned ms)
{
    struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
    nanosleep(&ts, NULL);
}

static void wait_for_sessions(uint64_t timeout_ms)
{
    uint64_t deadline_ms = clock_mono_ms() + timeout_ms;
    while (listeners_connections(listeners) > 0 && clock_mono_ms() < deadline_ms)
        sleep_ms(DRAIN_CHECK_MS);
}

static void mark_draining(void *arg)
{
    struct lane *lane = arg;
    lane->context.draining = true;
    if (lane == &lanes[0])
        queue_drain(queue);
}

static void close_lane_fiber(void *arg)
{
    struct lane *lane = arg;
    timer_stop(&lane->ready_timer);
    if (lane == &lanes[0])
        queue_stop(&queue);
    known_free(&lane->context.known);
    auth_free(&lane->context.auth);
    store_free(&lane->context.store);
    loop_stop(lane->context.loop);
}

static void close_lane(void *arg)
{
    struct lane *lane = arg;
    if (fiber_spawn(lane->context.loop, "close", close_lane_fiber, lane) != OK)
        loop_stop(lane->context.loop);
}

/* True if no session is left. */
static bool drain(void)
{
    log_info("frontend", "draining connections=%zu", listeners_connections(listeners));
    atomic_store(&draining, true);
    for (size_t i = 0; i < lane_count; i++)
        loop_post(lanes[i].context.loop, mark_draining, &lanes[i]);
    listeners_drain(listeners);
    wait_for_sessions(config.common.drain_timeout_ms);
    size_t cut = listeners_connections(listeners);
    listeners_abort(listeners);
    wait_for_sessions(ABORT_WAIT_MS);
    log_info("frontend", "drained cut=%zu", cut);
    return listeners_connections(listeners) == 0;
}

static void close_lanes(void)
{
    for (size_t i = 0; i < lane_count; i++)
        loop_post(lanes[i].context.loop, close_lane, &lanes[i]);
    uint64_t deadline_ms = clock_mono_ms() + CLOSE_WAIT_MS;
    for (size_t i = 0; i < lane_count; i++) {
        while (!atomic_load(&lanes[i].ended) && clock_mono_ms() < deadline_ms)
            sleep_ms(DRAIN_CHECK_MS);
    }
}

int main(int argc, char **argv)
{
    static const struct program program = {
        .name = "tern-frontend",
        .summary = "SMTP, IMAP and POP3 for the mail store",
        .config_file = "/etc/tern/frontend.conf",
        .table = &frontend_config_table,
        .common_offset = offsetof(struct frontend_config, common),
    };
    program_init(&program, argc, argv, &config);
    memory_keep_freed(MEMORY_KEPT);
    metrics_register_process(program.name);
    mail_init();
    read_settings();
    if (config.tls_certificate[0] != '\0' &&
        tls_server_new(config.tls_certificate, config.tls_key, &tls) != OK)
        log_fatal("frontend", "TLS cannot be used; see above");
    listeners = listeners_bind(&config, tls);

    struct http *http = NULL;
    struct http_options http_options = { .listen = config.common.http_listen, .not_ready = not_ready };
    if (privileges_drop(config.common.user) != OK)
        log_fatal("frontend", "cannot become user \"%s\"", config.common.user);
    if (store_keys_open(config.common.keys, RPC_ROLE_FRONTEND) != OK)
        log_fatal("frontend", "the keys cannot be used; see above");
    sem_init(&drain_wanted, 0, 0);
    start_lanes();
    struct signals_handlers handlers = { .on_drain = on_drain, .on_reload = on_reload };
    if ((config.common.http_listen[0] != '\0' && http_start(&http_options, &http) != OK) ||
        signals_start(&handlers) != OK)
        log_fatal("frontend", "cannot start");

    memory_tend_until(&drain_wanted);
    if (drain())
        close_lanes();
    http_stop(&http);
    /* Whatever did not end in time holds nothing that matters. */
    _exit(0);
}
