/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong, and how often. */
#include "tests/sim/cluster/truth.h"

enum trouble {
    CRASH,
    CRASH_LEARNER, /* in the middle of a copy, if there is one */
    CUT,           /* one direction of one link, or both */
    ISOLATE,
    PAUSE,
    DIRECTOR, /* one dies */
    STORE,    /* does not answer */
    RESTORE,  /* comes back old */
    DISK_FAILS,
    DISK_FULL,
    DISK_LOST,
    HAND_OVER,
    OPERATE,
    CRASH_ALL,
    SIDES,   /* a primary is left alone with some of its clients */
    UPGRADE, /* a node's program is replaced by a later one */
    FREEZE,  /* a virtual machine stands still and its clock with it, unseen */
};

enum {
    MIX = 16,
    THROWN = 5, /* the seed chooses among the first; the others are asked for */
    SIDES_WEATHER = 5,
    LATE_WEATHER = 6,
    UPGRADES_WEATHER = 7,
    CLOCKS_WEATHER = 8,
    FREEZE_MS = 6000,
    VERSION_NEWEST = 4,
    LATE_PER_MILLE = 700,
    STRIKE_PER_MILLE = 500,
    STRIKE_MS = 300,
    STRUCK_MS = 6000,
    READER_STOP_MS = 2500,
    SIDES_LONGER = 4, /* to lose a seat and to win it back */
    SIDES_KEEP_MIN = 200,
    SIDES_MS_MIN = 1500, /* about G (R18): the others find another primary */
    SIDES_MS = 4000,
    UNTOLD_MS = 3000, /* then it hears them again, but for so long no director */
    DISKS_LOST_MAX = 6,
    RARE_PER_MILLE = 150,
    COPIES_WEATHER = 2,
    EARLY_PER_MILLE = 300, /* before there are partitions */
    EARLY_MS = 300,
    PLACED_MS = 4000,
    OPERATE_PER_MILLE = 300,
    TEAR_PER_MILLE = 200,
    TEAR_MS = 60
};

/* What a run mostly suffers from: rare meetings of rare faults want their own weather. */
static const uint8_t mixes[][MIX] = {
    { CRASH, CRASH, CRASH, CRASH_LEARNER, CUT, CUT, ISOLATE, PAUSE, DIRECTOR, STORE, RESTORE, DISK_FAILS,
      DISK_FULL, DISK_LOST, HAND_OVER, OPERATE },
    { CUT, CUT, CUT, CUT, CUT, CUT, ISOLATE, ISOLATE, ISOLATE, PAUSE, PAUSE, PAUSE, STORE, DIRECTOR,
      HAND_OVER, CRASH }, /* leases */
    { CRASH, CRASH, CRASH, CRASH_LEARNER, CRASH_LEARNER, CRASH_LEARNER, CRASH_LEARNER, ISOLATE, ISOLATE,
      OPERATE, OPERATE, DISK_LOST, DISK_LOST, HAND_OVER, CUT, PAUSE }, /* copies */
    { CRASH, CRASH, CRASH, CRASH, CRASH, CRASH, CRASH, CRASH, CUT, CUT, DISK_FAILS, DISK_FAILS, CRASH_ALL,
      CRASH_ALL, HAND_OVER, STORE }, /* power */
    { HAND_OVER, HAND_OVER, HAND_OVER, HAND_OVER, OPERATE, OPERATE, OPERATE, CUT, CUT, PAUSE, CRASH, RESTORE,
      DIRECTOR, DIRECTOR, STORE, STORE }, /* configurations */
    { SIDES, SIDES, SIDES, SIDES, SIDES, SIDES, SIDES, SIDES, CRASH, CRASH, CRASH, PAUSE, CUT, CUT, HAND_OVER,
      OPERATE }, /* sides */
    { CRASH, CRASH, CRASH, CRASH, CRASH_LEARNER, CRASH_LEARNER, CRASH_LEARNER, ISOLATE, ISOLATE, OPERATE,
      OPERATE, OPERATE, DISK_LOST, DISK_LOST, CRASH, CUT }, /* late copies */
    { UPGRADE, UPGRADE, UPGRADE, UPGRADE, UPGRADE, UPGRADE, CRASH, CRASH, CRASH_LEARNER, CUT, ISOLATE,
      OPERATE, OPERATE, HAND_OVER, DISK_LOST, CRASH_ALL }, /* upgrades */
    { FREEZE, FREEZE, FREEZE, FREEZE, FREEZE, FREEZE, FREEZE, FREEZE, FREEZE, FREEZE, CUT, CUT, ISOLATE,
      HAND_OVER, CRASH, OPERATE }, /* clocks */
};

int weather_count(void)
{
    return sizeof mixes / sizeof mixes[0];
}

/* 0 in a third of the runs. */
static uint64_t often_none(struct cluster *c, uint64_t n)
{
    uint64_t factor = cluster_below(c, 3);
    return factor * cluster_below(c, n);
}

void weather_init(struct cluster *c, int weather)
{
    int thrown = (int)cluster_below(c, THROWN);
    c->weather = weather >= 0 ? weather : thrown;
    c->loss = often_none(c, 30);
    c->dup = often_none(c, 40);
    c->slow = often_none(c, 15);
    c->delay = MS / 10 + cluster_below(c, 8 * MS);
    c->ask_delay = often_none(c, 800 * MS);
    c->sync_ns = MS / 5 + cluster_below(c, 5 * MS);
    c->slow_sync = often_none(c, 20);
    c->fault_ns = 150 * MS + cluster_below(c, 1500 * MS);
    c->fault_at = c->now + (cluster_chance(c, EARLY_PER_MILLE) ? EARLY_MS : PLACED_MS) * MS;
    c->operate = often_none(c, OPERATE_PER_MILLE);
    c->reader_stop = READER_STOP_MS * MS;
    c->reads_commit = c->weather == CLOCKS_WEATHER && !c->breaks.lease_reads;
    if (c->weather == LATE_WEATHER)
        c->late = LATE_PER_MILLE;
    if (c->weather == SIDES_WEATHER) { /* learners are fed from the log, bit by bit */
        c->reader_stop *= SIDES_LONGER;
        c->append_count = 1 + (uint32_t)cluster_below(c, 3);
        c->log_keep += SIDES_KEEP_MIN;
    }
}

static void cut(struct cluster *c, int a, int b, uint64_t ns)
{
    c->cut_until[a][b] = c->now + ns;
    c->totals.cuts++;
    if (!cluster_chance(c, 300))
        c->cut_until[b][a] = c->now + ns;
}

static void cut_both(struct cluster *c, int a, int b, uint64_t ns)
{
    c->cut_until[a][b] = c->cut_until[b][a] = c->now + ns;
    c->totals.cuts++;
}

static void isolate(struct cluster *c, int slot)
{
    uint64_t ns = cluster_below(c, 4000 * MS);
    bool told = cluster_chance(c, 300), frontends = cluster_chance(c, 300);
    for (int i = 0; i < ENDS; i++) {
        bool director = i >= end_of_director(0), frontend = !director && i >= SLOTS_MAX;
        if (i != slot && (!director || told) && (!frontend || frontends))
            cut(c, slot, i, ns);
    }
    cluster_trace(c, "node %u is isolated for %.3f s", c->nodes[slot]->self.id, (double)ns / 1e9);
}

/* The front-end that is left with it keeps its map, too. */
static void part_sides(struct cluster *c)
{
    int p = (int)cluster_below(c, (uint64_t)c->partitions);
    struct node *n = node_find(c, truth_conf(c, p)->primary);
    int mine = end_of_frontend((int)cluster_below(c, FRONTENDS));
    uint64_t alone = (SIDES_MS_MIN + cluster_below(c, SIDES_MS)) * MS;
    uint64_t untold = alone + cluster_below(c, UNTOLD_MS * MS);
    if (n == NULL)
        return;
    for (int i = 0; i < c->slots; i++) {
        if (i != n->slot) {
            cut_both(c, n->slot, i, alone);
            cut_both(c, mine, i, untold);
        }
    }
    for (int d = 0; d < directors.count; d++) {
        cut_both(c, n->slot, end_of_director(d), untold);
        cut_both(c, mine, end_of_director(d), untold);
    }
    for (int f = 0; f < FRONTENDS; f++) {
        if (end_of_frontend(f) != mine)
            cut_both(c, n->slot, end_of_frontend(f), untold);
    }
    cluster_trace(c, "node %u is alone with its clients for %.3f s, untold for %.3f s", n->self.id,
                  (double)alone / 1e9, (double)untold / 1e9);
}

static void crash(struct cluster *c, struct node *n)
{
    node_kill(n, cluster_chance(c, 500) ? cluster_below(c, 200 * MS) : cluster_below(c, 5000 * MS));
}

static void crash_learner(struct cluster *c)
{
    for (int i = 0; i < c->slots; i++) {
        struct node *n = c->nodes[i];
        if (!n->up || n->chunk_at + TEAR_MS * MS < c->now)
            continue;
        crash(c, n);
        n->chunk_at = 0;
        return;
    }
}

/* A disk may go if its data is elsewhere for sure: it is no member, or one of three whose others are whole;
 * and no request of its node is on its way that could yet make it what it is not now. While a partition has
 * not been served yet, its primary may be the only one that has a record of it (R26). */
static bool may_lose(struct cluster *c, const struct node *n)
{
    if (c->totals.disks >= DISKS_LOST_MAX || n->dead || n->self.id == 0 || c->placed_at == 0)
        return false;
    for (int p = 0; p < c->partitions; p++) {
        const struct conf *conf = truth_conf(c, p);
        if (!conf_is_member(conf, n->self.id))
            continue;
        if (conf->member_count < COPIES)
            return false;
        for (int i = 0; i < conf->member_count; i++) {
            const struct node *x = node_find(c, conf->members[i]);
            if (x == NULL || x->dead)
                return false;
        }
    }
    return true;
}

static void lose_disk(struct cluster *c, struct node *n)
{
    if (!may_lose(c, n))
        return;
    node_kill(n, cluster_below(c, 2000 * MS));
    if (n->up)
        return;
    operators_lost(c, n->self.id);
    node_replace_disk(n);
}

static void hand_over(struct cluster *c)
{
    int p = (int)cluster_below(c, (uint64_t)c->partitions);
    const struct conf *conf = truth_conf(c, p);
    if (conf->epoch == 0)
        return;
    struct node *n = node_find(c, conf->primary),
                *heir = node_find(c, conf->members[cluster_below(c, conf->member_count)]);
    struct partition *open = n == NULL || n->dying ? NULL : node_partition(n, p);
    enum err refused;
    if (open == NULL || heir == NULL || heir == n)
        return;
    if (partition_handover(open, node_now(n), heir->self, &refused) != OK)
        cluster_fail(c, "a hand-over failed");
    node_poke(n);
}

static void fail_disk(struct cluster *c, struct node *n)
{
    if (!n->up)
        return;
    n->excused = true;
    kv_mem_fail_after(n->kv, 1 + cluster_below(c, 6), cluster_chance(c, 500) ? ERR_IO : ERR_NO_SPACE);
    cluster_trace(c, "the disk of node %u is about to fail", n->self.id);
}

/* One after the other, by one or two versions; in the end all are of the newest. */
static void upgrade(struct cluster *c, struct node *n)
{
    if (n->program == VERSION_NEWEST)
        return;
    n->program += 1 + (uint8_t)cluster_below(c, VERSION_NEWEST - n->program);
    cluster_trace(c, "node %u is upgraded to version %u", n->self.id, n->program);
    crash(c, n);
}

/* What comes meanwhile waits for it; then it knows of no time that has passed. */
static void freeze(struct cluster *c, struct node *n)
{
    uint64_t ns = cluster_below(c, FREEZE_MS * MS), ticks = ns / 1000000 * n->clock_ppm;
    if (!n->up || c->now < n->paused_until || n->clock_offset < ticks)
        return;
    n->paused_until = c->now + ns;
    n->clock_offset -= ticks;
    cluster_trace(c, "node %u and its clock stand still for %.3f s", n->self.id, (double)ns / 1e9);
}

static void trouble_director(struct cluster *c)
{
    int d = (int)cluster_below(c, (uint64_t)directors.count);
    uint64_t ms = cluster_below(c, 4000);
    if (cluster_chance(c, 600)) {
        host_crash(d, ms);
        return;
    }
    directors.hosts[d].paused_until = c->now / MS + ms;
    cluster_trace(c, "director %d stands still for %.3f s", d, (double)ms / 1e3);
}

void weather_copy_begins(struct cluster *c)
{
    if (c->calm || c->weather != COPIES_WEATHER || !cluster_chance(c, TEAR_PER_MILLE))
        return;
    c->tear = true;
    c->fault_at = c->now + cluster_below(c, TEAR_MS * MS);
}

void weather_copy_repeated(struct cluster *c, int from)
{
    if (c->calm || c->struck != 0 || !cluster_chance(c, STRIKE_PER_MILLE))
        return;
    c->struck = from + 1;
    c->fault_at = c->now + cluster_below(c, STRIKE_MS * MS);
}

void weather_fault(struct cluster *c)
{
    struct node *n = c->nodes[cluster_below(c, (uint64_t)c->slots)];
    uint64_t m = cluster_below(c, (uint64_t)(c->slots + ENDS - SLOTS_MAX));
    int other = m < (uint64_t)c->slots ? (int)m : (int)m - c->slots + SLOTS_MAX;
    c->fault_at = c->now + cluster_below(c, 2 * c->fault_ns);
    if (operators_restoring(c))
        return;
    if (c->struck != 0) {
        node_kill(c->nodes[c->struck - 1], STRUCK_MS * MS);
        c->struck = 0;
        return;
    }
    if (c->tear) {
        c->tear = false;
        crash_learner(c);
        return;
    }
    switch ((enum trouble)mixes[c->weather][cluster_below(c, MIX)]) {
    case CRASH:
        crash(c, n);
        break;
    case CRASH_LEARNER:
        crash_learner(c);
        break;
    case CUT:
        if (other != n->slot)
            cut(c, n->slot, other, cluster_below(c, 4000 * MS));
        break;
    case ISOLATE:
        isolate(c, n->slot);
        break;
    case PAUSE:
        n->paused_until = c->now + cluster_below(c, 3000 * MS);
        cluster_trace(c, "node %u is stopped for a while", n->self.id);
        break;
    case DIRECTOR:
        trouble_director(c);
        break;
    case STORE:
        store_down(cluster_below(c, 3000));
        break;
    case RESTORE:
        if (cluster_chance(c, RARE_PER_MILLE))
            operators_restore(c);
        break;
    case DISK_FAILS:
        fail_disk(c, n);
        break;
    case DISK_FULL:
        n->full_until = c->now + cluster_below(c, 3000 * MS);
        break;
    case DISK_LOST:
        lose_disk(c, n);
        break;
    case HAND_OVER:
        hand_over(c);
        break;
    case OPERATE:
        operators_begin(c);
        break;
    case CRASH_ALL:
        for (int i = 0; i < c->slots; i++)
            node_kill(c->nodes[i], cluster_below(c, 1000 * MS));
        break;
    case SIDES:
        part_sides(c);
        break;
    case UPGRADE:
        upgrade(c, n);
        break;
    case FREEZE:
        freeze(c, n);
        break;
    }
}

void weather_calm(struct cluster *c)
{
    cluster_trace(c, "faults stop");
    c->calm = true;
    c->calm_at = c->shaken_at = c->now;
    for (int i = 0; i < c->slots; i++) {
        struct node *n = c->nodes[i];
        n->full_until = 0;
        if (c->weather != CLOCKS_WEATHER) /* or its clock would go back */
            n->paused_until = 0;
        n->excused = false;
        kv_mem_fail_after(n->kv, 0, OK);
        if (c->weather == UPGRADES_WEATHER && n->speaks < VERSION_NEWEST) {
            n->program = VERSION_NEWEST;
            node_kill(n, 0);
        }
        if (!n->up)
            n->start_at = c->now;
    }
    for (int i = 0; i < directors.count; i++)
        directors.hosts[i].paused_until = directors.hosts[i].up_at = c->now / MS;
    store_calm();
}

void weather_fail_over(struct cluster *c)
{
    struct node *n = node_find(c, truth_conf(c, (int)cluster_below(c, (uint64_t)c->partitions))->primary);
    c->shaken_at = c->now;
    if (cluster_chance(c, 500))
        hand_over(c);
    else if (n != NULL)
        node_kill(n, cluster_below(c, 2000 * MS));
}
