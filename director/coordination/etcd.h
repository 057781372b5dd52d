/* SPDX-License-Identifier: Apache-2.0 */
/* The coordination store of a cluster with several directors: etcd 3.4 or newer, over its JSON gateway (/v3).
 * One thread of its own does everything; nothing blocks a caller but load and close.
 *
 * Keys under `prefix`: rows/KEY the rows; leader the leading director (bound to its lease); deleted touched
 * by every deletion; sync touched to learn that the watch is alive. */
#ifndef DIRECTOR_COORDINATION_ETCD_H
#define DIRECTOR_COORDINATION_ETCD_H

#include "director/coordination/coordination.h"

enum {
    ETCD_ENDPOINTS_MAX = COORDINATION_MEMBERS_MAX,
    ETCD_ENDPOINT_TEXT_MAX = 255, /* bytes */
    ETCD_PREFIX_MAX = 100,        /* bytes */
    ETCD_LEASE_S = 3,             /* the leader's; another leads within 2 s more */
};

struct etcd_options {
    const char *const *endpoints; /* "http://host:port" or "https://host:port" */
    size_t endpoint_count;        /* 1 to ETCD_ENDPOINTS_MAX */
    const char *prefix;
    /* PEM files: whom to believe, and who we are; "" for none. */
    const char *ca, *certificate, *key;
    const char *name; /* what `leader` says, for people */
};

/* What is wrong with an endpoint or a prefix, for a person; NULL: nothing. */
const char *etcd_mistake_in_endpoint(const char *endpoint);
const char *etcd_mistake_in_prefix(const char *prefix);

/* Connects to nothing yet: load does, and waits up to a minute for etcd to answer. Copies the options.
 * ERR_INVALID (logged): a mistake in them; ERR_IO (logged): files of TLS that cannot be read. */
MUST_CHECK enum err etcd_open(const struct etcd_options *options, struct coordination **out);

#endif
