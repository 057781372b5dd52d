/* SPDX-License-Identifier: Apache-2.0 */
/* Directors and their coordination store, for simulators of one thread: the real code of director/ (all of it
 * but main.c, director.c and the stores) between a simulated store and links, in a world of somebody's: time,
 * chance and links are the simulator's, and so are the nodes.
 *
 *   host.c: the directors' processes, requests to them and their answers <-> store.c: one judge, a watch
 *   each, a lease */
#ifndef TESTS_SIM_DIRECTORS_DIRECTORS_H
#define TESTS_SIM_DIRECTORS_DIRECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "director/conf.h"
#include "director/director.h"
#include "proto/methods.h"

enum {
    DIRECTORS = 3,
    END_STORE = DIRECTORS, /* ends of links: directors, the store, nodes */
    END_NODE = DIRECTORS + 1,
};

/* Something that happens at its time. `run` frees it or keeps it; `drop` frees it at the end. */
struct todo {
    uint64_t at, order;
    void (*run)(struct todo *todo);
    void (*drop)(struct todo *todo);
};

struct client; /* store.c: a director's connection to the store */

struct host {
    struct director *d; /* NULL: down */
    struct client *client;
    bool ready, poked, ending;
    uint64_t boot, paused_until, up_at;
};

struct directors {
    struct director_options options; /* of every director */
    int count;                       /* at most DIRECTORS */
    uint64_t lag_ms;                 /* most, of a watch */
    unsigned twice;                  /* per mille: a request comes again */
    struct {
        bool cas;   /* the store takes what was judged by an old row */
        bool lease; /* a director that led once believes so for ever */
        bool mark;  /* the store does not look whether a node that is taken in is about to be removed */
    } breaks;
    struct host hosts[DIRECTORS];
    struct store *store;
    uint64_t era; /* one more whenever the store was put back: what was under way then ends nowhere */
    int running;  /* the director whose code runs; -1: none */
    struct {
        uint64_t crashes, leaders, conflicts, doubts, reloads;
    } totals;
};

extern struct directors directors; /* the ones there are: their code calls clocks and sends replies without
                                      naming them */

/* There is nothing; the caller fills in the first part, then store_init and hosts_init; in the end
 * hosts_fini, and when all that was posted is dropped, store_fini. */
void directors_init(void);

/* ---- store.c */

void store_init(void);
void store_fini(void);
/* For a director that starts; NULL: the store does not answer. */
struct client *store_connect(int host);
struct coordination *store_coordination(struct client *client);
void store_down(uint64_t ms);
void store_calm(void);
/* Changes that it has taken. */
size_t store_entries(void);
/* It is put back from a copy of when there were so many; the directors were stopped for that and start again
 * (R27). */
void store_restore(size_t entries);
/* As the store has it now. */
const struct conf *store_conf(uint32_t partition);
/* Somebody is about to remove the node. */
bool store_is_marked(uint32_t node);
bool store_has_node(uint32_t node);
/* The director that holds the lease; -1: none. */
int store_leader(void);

/* ---- host.c */

void hosts_init(void);
void hosts_fini(void);
void host_poke(int host);
void host_crash(int host, uint64_t ms);
/* As that director sees it; NULL: it is down, or sees none. */
const struct conf *host_conf(int host, uint32_t partition);
/* Until the call the director's code must not run, and its clock stands as the world's. */
void host_enter(int host);
void host_leave(void);

/* Who asked, and what of it the answer is for. */
struct director_call {
    int node; /* < 0: an operator */
    uint64_t boot;
    enum { CALL_HELLO, CALL_MAP, CALL_CONF, CALL_OPERATOR } kind;
    int director;
    uint32_t partition;
    Tern__ConfChange change; /* CALL_CONF */
    bool wished;             /* and the director wished for it */
    uint64_t number;         /* the asker's own */
};
/* Sends a request, once or twice, or loses it. With the director not there, the request of somebody who waits
 * for the answer goes out when that can be connected to (lib/rpc/client.h). */
void director_call_send(const struct director_call *call, enum method method,
                        const ProtobufCMessage *request);

/* How a change of the store came to be. */
struct made {
    bool own; /* by a director itself, and which */
    bool wished;
    int director;
    struct conf_request asked;
};

/* ---- what the simulator provides; all times in ms of its own */

uint64_t sim_now(void);
uint64_t sim_rand(void);
uint64_t sim_below(uint64_t n); /* 0 if n is 0 */
bool sim_chance(unsigned per_mille);
void sim_post(struct todo *todo, uint64_t at);
void sim_trace(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void sim_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Nothing goes wrong any more. */
bool sim_calm(void);
/* False: the message is lost. */
bool sim_route(int from, int to, uint64_t *at_out);
/* In the past: it is not cut. */
uint64_t sim_cut_until(int from, int to);
bool sim_cut(int from, int to);

void node_answer(const struct director_call *call, enum err status, struct slice response);
void node_notice(int slot, uint64_t boot, uint64_t version);
/* When the process that made the call can send it at the earliest: it may stand still. 0: it does not wait
 * for the answer, or no more. */
uint64_t node_sends_at(const struct director_call *call);
/* The answer to an operator. */
void weather_answer(const struct director_call *call, enum err status);

/* The store has taken it. */
void check_conf(const struct conf *old, const struct conf *now, const struct made *made);
/* The transaction has done all else that it does. */
void check_removed(uint32_t id);
/* A director has had a turn; it begins a copy. */
void check_turn(int host);
void check_begins(int host, uint32_t partition, uint32_t node);

#endif
