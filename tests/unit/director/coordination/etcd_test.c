/* SPDX-License-Identifier: Apache-2.0 */
/* The etcd member when etcd's members die, hang, forget and are put back from a copy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "director/coordination/etcd.h"
#include "etcd_process.h"
#include "lib/base/clock.h"
#include "store_probe.h"

enum { LOOK_MS = 2000 }; /* a look at a member takes no longer, and one may be under way */

static struct coordination *open_at(const char *const *endpoints, size_t count)
{
    struct coordination *store = NULL;
    struct etcd_options options = { .endpoints = endpoints,
                                    .endpoint_count = count,
                                    .prefix = "/tern/",
                                    .ca = "",
                                    .certificate = "",
                                    .key = "",
                                    .name = "test" };
    assert_int_equal(etcd_open(&options, &store), OK);
    return store;
}

/* Waits up to 20 s for `condition`. */
#define EVENTUALLY(condition)                                \
    do {                                                     \
        uint64_t until_ = clock_mono_ms() + 20000;           \
        while (!(condition)) {                               \
            if (clock_mono_ms() > until_)                    \
                fail_msg("%s: not within 20 s", #condition); \
            usleep(10000);                                   \
        }                                                    \
    } while (0)

static bool has_told(struct probe *p, const char *line)
{
    char *lines = probe_lines(p);
    bool found = strstr(lines, line) != NULL;
    free(lines);
    return found;
}

static size_t reloads(struct probe *p)
{
    pthread_mutex_lock(&p->lock);
    size_t count = p->reloads;
    pthread_mutex_unlock(&p->lock);
    return count;
}

/* The next number into row "n", again and again until it is known to be there; 0 ms if never. */
static void count_up(struct probe *p, int *n, uint64_t *mod)
{
    char value[16], line[24];
    snprintf(value, sizeof value, "%d", ++*n);
    snprintf(line, sizeof line, "n=%s\n", value);
    uint64_t until = clock_mono_ms() + 20000;
    for (;;) {
        enum err err = probe_put(p, "n", *mod, value);
        if (err == OK || has_told(p, line)) /* in doubt, and then it was */
            break;
        if (clock_mono_ms() > until)
            fail_msg("no change within 20 s: %s", err_text(err));
        usleep(20000);
    }
    EVENTUALLY(has_told(p, line));
    pthread_mutex_lock(&p->lock);
    *mod = p->last_mod;
    pthread_mutex_unlock(&p->lock);
}

/* Three etcds, of which one at a time is killed or stopped: changes go on, none is lost or made twice. A
 * second director's picture follows, wherever its watch was. */
static void test_members(void **state)
{
    struct etcds etcds;
    struct probe p, other;
    int n = 0;
    uint64_t mod = 0;
    etcds_start(&etcds, 3);
    probe_open(&p, open_at(etcds.endpoints, 3));
    probe_open(&other, open_at(etcds.endpoints, 3));
    count_up(&p, &n, &mod);
    for (size_t round = 0; round < 5; round++) { /* each hangs once: somebody's watch is there */
        bool kills = round >= 3;
        size_t i = round % 3;
        etcds_signal(&etcds, i, kills ? SIGKILL : SIGSTOP);
        for (int k = 0; k < 3; k++)
            count_up(&p, &n, &mod);
        if (kills)
            etcds_restart(&etcds, i, NULL);
        else
            etcds_signal(&etcds, i, SIGCONT);
        count_up(&p, &n, &mod);
    }
    char last[24];
    snprintf(last, sizeof last, "n=%d\n", n);
    EVENTUALLY(has_told(&other, last));
    char *lines = probe_lines(&p), *others = probe_lines(&other), *at = lines;
    assert_string_equal(lines, others);
    for (int k = 1; k <= n; k++) {
        assert_int_equal(strtol(at + 2, &at, 10), k);
        at++;
    }
    assert_string_equal(at, "");
    free(lines);
    free(others);
    probe_close(&p);
    probe_close(&other);
    etcds_stop(&etcds);
}

/* The endpoint's member is told to be so, for that reason: another may come first while it starts. */
static bool is_told(struct coordination *store, size_t i, enum coordination_health health, const char *why)
{
    struct coordination_member members[COORDINATION_MEMBERS_MAX];
    size_t count = coordination_members(store, members);
    assert_true(i < count);
    if (members[i].health != health)
        return false;
    if (coordination_member_fails(&members[i])) {
        assert_in_range(members[i].since_mono_ms, 1, clock_mono_ms());
        return strstr(members[i].why, why) != NULL;
    }
    assert_int_equal(members[i].since_mono_ms, 0);
    return true;
}

/* One dies, one hangs, so that the third has no leader; each is told as it is, and until it is back. The
 * fourth endpoint is spoken to in TLS and does not know it. */
static void test_health(void **state)
{
    struct etcds etcds;
    struct probe p;
    char tls[72];
    etcds_start(&etcds, 3);
    snprintf(tls, sizeof tls, "https%s", etcds.endpoints[0] + strlen("http"));
    const char *const endpoints[] = { etcds.endpoints[0], etcds.endpoints[1], etcds.endpoints[2], tls };
    uint64_t begun = clock_mono_ms();
    probe_open(&p, open_at(endpoints, 4));
    for (size_t i = 0; i < 3; i++)
        EVENTUALLY(is_told(p.store, i, COORDINATION_WELL, ""));
    EVENTUALLY(is_told(p.store, 3, COORDINATION_SILENT, "TLS: "));
    uint64_t killed = clock_mono_ms();
    etcds_signal(&etcds, 0, SIGKILL);
    EVENTUALLY(is_told(p.store, 0, COORDINATION_SILENT, "connection refused"));
    struct coordination_member members[COORDINATION_MEMBERS_MAX];
    assert_int_equal(coordination_members(p.store, members), 4);
    assert_string_equal(members[0].endpoint, etcds.endpoints[0]);
    assert_in_range(members[0].since_mono_ms, killed - LOOK_MS, killed + 5000);
    assert_in_range(members[3].since_mono_ms, begun, killed);
    etcds_signal(&etcds, 1, SIGSTOP);
    EVENTUALLY(is_told(p.store, 1, COORDINATION_SILENT, "timed out"));
    EVENTUALLY(is_told(p.store, 2, COORDINATION_UNWELL, "no leader"));
    etcds_signal(&etcds, 1, SIGCONT);
    etcds_restart(&etcds, 0, NULL);
    for (size_t i = 0; i < 3; i++)
        EVENTUALLY(is_told(p.store, i, COORDINATION_WELL, ""));
    probe_close(&p);
    etcds_stop(&etcds);
}

/* An endpoint that belongs to another etcd. */
static void test_stranger(void **state)
{
    struct etcds ours, other;
    struct probe p;
    etcds_start(&ours, 1);
    etcds_start(&other, 1);
    probe_open(&p, open_at(ours.endpoints, 1));
    probe_close(&p);
    const char *const endpoints[] = { ours.endpoints[0], other.endpoints[0] };
    probe_open(&p, open_at(endpoints, 2));
    EVENTUALLY(is_told(p.store, 0, COORDINATION_WELL, ""));
    EVENTUALLY(is_told(p.store, 1, COORDINATION_UNWELL, "another etcd"));
    probe_close(&p);
    etcds_stop(&ours);
    etcds_stop(&other);
}

/* All of etcd gone: refused soon, and by itself well again. */
static void test_outage(void **state)
{
    struct etcds etcds;
    struct probe p;
    etcds_start(&etcds, 1);
    probe_open(&p, open_at(etcds.endpoints, 1));
    assert_int_equal(probe_put(&p, "a", 0, "1"), OK);
    uint64_t mod = p.revision;
    etcds_signal(&etcds, 0, SIGKILL);
    EVENTUALLY(probe_put(&p, "a", mod, "2") == ERR_UNAVAILABLE);
    assert_int_equal(probe_run(&p, NULL, 0), ERR_UNAVAILABLE);
    EVENTUALLY(!coordination_leads(p.store));
    etcds_restart(&etcds, 0, NULL);
    EVENTUALLY(probe_run(&p, NULL, 0) == OK);
    assert_int_equal(probe_put(&p, "a", mod, "2"), OK);
    EVENTUALLY(coordination_leads(p.store));
    /* one that hangs: the first changes are in doubt, later ones refused */
    mod = p.revision;
    etcds_signal(&etcds, 0, SIGSTOP);
    assert_int_equal(probe_put(&p, "b", 0, "1"), ERR_IN_DOUBT);
    EVENTUALLY(probe_put(&p, "b", 0, "1") == ERR_UNAVAILABLE);
    etcds_signal(&etcds, 0, SIGCONT);
    EVENTUALLY(probe_run(&p, NULL, 0) == OK);
    assert_int_equal(probe_put(&p, "a", mod, "3"), OK);
    assert_int_equal(p.reloads, 0);
    probe_close(&p);
    etcds_stop(&etcds);
}

/* Behind the back of a director that is cut off, rows change and history is compacted: it reads all again. */
static void test_gap(void **state)
{
    struct etcds etcds;
    struct probe p, other;
    char elsewhere[64];
    const char *const other_endpoints[] = { elsewhere };
    etcds_start(&etcds, 1);
    probe_open(&p, open_at(etcds.endpoints, 1));
    assert_int_equal(probe_put(&p, "gone", 0, "1"), OK);
    uint64_t mod = p.revision;
    assert_int_equal(probe_put(&p, "stays", 0, "1"), OK);
    etcds_signal(&etcds, 0, SIGKILL);
    etcds_free_url(elsewhere);
    etcds_restart(&etcds, 0, elsewhere);
    probe_open(&other, open_at(other_endpoints, 1));
    struct coordination_change gone = { SLICE_LIT("gone"), mod, COORDINATION_DELETE, SLICE_NULL };
    assert_int_equal(probe_run(&other, &gone, 1), OK);
    assert_int_equal(probe_put(&other, "new", 0, "1"), OK);
    etcds_shell(&etcds, "ETCDCTL_API=3 etcdctl --endpoints %s compact %d", elsewhere, (int)other.revision);
    probe_close(&other);
    etcds_signal(&etcds, 0, SIGKILL);
    etcds_restart(&etcds, 0, NULL);
    EVENTUALLY(reloads(&p) == 1);
    char *lines = probe_lines(&p);
    assert_string_equal(lines, "new=1\nstays=1\n");
    free(lines);
    assert_int_equal(probe_put(&p, "gone", 0, "2"), OK);
    assert_true(has_told(&p, "gone=2\n"));
    probe_close(&p);
    etcds_stop(&etcds);
}

/* The store is put back from a copy: its revision is lower than what was seen. */
static void test_restored(void **state)
{
    struct etcds etcds;
    struct probe p;
    etcds_start(&etcds, 1);
    probe_open(&p, open_at(etcds.endpoints, 1));
    assert_int_equal(probe_put(&p, "a", 0, "old"), OK);
    uint64_t mod = p.revision;
    etcds_signal(&etcds, 0, SIGKILL);
    etcds_shell(&etcds, "cp -r e0 copy");
    etcds_restart(&etcds, 0, NULL);
    EVENTUALLY(probe_put(&p, "a", mod, "new") == OK);
    assert_int_equal(probe_put(&p, "b", 0, "new"), OK);
    assert_int_equal(reloads(&p), 0);
    uint64_t before = p.revision;
    etcds_signal(&etcds, 0, SIGKILL);
    etcds_shell(&etcds, "rm -rf e0; mv copy e0");
    etcds_restart(&etcds, 0, NULL);
    EVENTUALLY(reloads(&p) >= 1);
    assert_true(p.told < before);
    char *lines = probe_lines(&p);
    assert_string_equal(lines, "a=old\n");
    free(lines);
    EVENTUALLY(probe_put(&p, "a", mod, "newer") == OK);
    probe_close(&p);
    etcds_stop(&etcds);
}

/* The one of `stores` that leads goes in order, and the other, which is opened before, leads; how long after.
 */
static uint64_t hand_over(const struct etcds *etcds, struct probe *stores, int leader)
{
    struct probe *from = &stores[leader], *to = &stores[!leader];
    probe_open(to, open_at(etcds->endpoints, 1));
    usleep(500 * 1000);
    assert_false(coordination_leads(to->store));
    uint64_t begun = clock_mono_ms();
    probe_close(from);
    EVENTUALLY(coordination_leads(to->store));
    return clock_mono_ms() - begun;
}

/* One leads, and when it goes in order the other does at once (if the machine does, so not each time); when
 * the key is taken from it, it notices. */
static void test_leader(void **state)
{
    enum { AT_ONCE_MS = 2000, TRIES_MAX = 5 };
    struct etcds etcds;
    struct probe stores[2];
    int leader = 0;
    etcds_start(&etcds, 1);
    probe_open(&stores[leader], open_at(etcds.endpoints, 1));
    EVENTUALLY(coordination_leads(stores[leader].store));
    uint64_t took = UINT64_MAX;
    for (int i = 0; i < TRIES_MAX && took > AT_ONCE_MS; i++) {
        took = hand_over(&etcds, stores, leader);
        leader = !leader;
    }
    assert_true(took <= AT_ONCE_MS);
    struct probe *b = &stores[leader];
    etcds_shell(&etcds, "ETCDCTL_API=3 etcdctl --endpoints %s put /tern/leader thief", etcds.endpoints[0]);
    EVENTUALLY(!coordination_leads(b->store));
    etcds_shell(&etcds, "ETCDCTL_API=3 etcdctl --endpoints %s del /tern/leader", etcds.endpoints[0]);
    EVENTUALLY(coordination_leads(b->store));
    probe_close(b);
    etcds_stop(&etcds);
}

static void test_options(void **state)
{
    struct coordination *store = NULL;
    const char *const good[] = { "http://127.0.0.1:1" }, *const bad[] = { "127.0.0.1:1" };
    struct etcd_options options = { good, 1, "/tern/", "", "", "", "test" };
    assert_non_null(etcd_mistake_in_endpoint("tcp://h:1"));
    assert_non_null(etcd_mistake_in_endpoint("http://"));
    assert_non_null(etcd_mistake_in_endpoint("http://h:1/v3"));
    assert_non_null(etcd_mistake_in_endpoint("http://user@h:1"));
    assert_null(etcd_mistake_in_endpoint("https://[::1]:2379"));
    assert_non_null(etcd_mistake_in_prefix(""));
    assert_non_null(etcd_mistake_in_prefix("/tern"));
    options.certificate = "x";
    assert_int_equal(etcd_open(&options, &store), ERR_INVALID);
    options.key = "/nowhere";
    assert_int_equal(etcd_open(&options, &store), ERR_IO);
    options.certificate = options.key = "";
    options.endpoints = bad;
    assert_int_equal(etcd_open(&options, &store), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),  cmocka_unit_test(test_leader),   cmocka_unit_test(test_gap),
        cmocka_unit_test(test_restored), cmocka_unit_test(test_outage),   cmocka_unit_test(test_members),
        cmocka_unit_test(test_health),   cmocka_unit_test(test_stranger),
    };
    if (!etcds_are_installed()) {
        fprintf(stderr, "etcd is not installed: skipped\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
