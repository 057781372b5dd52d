/* SPDX-License-Identifier: Apache-2.0 */
/* Real etcds for tests: on free loopback ports, with data in a folder of their own, dead when the test is. */
#ifndef TESTS_UNIT_DIRECTOR_COORDINATION_ETCD_PROCESS_H
#define TESTS_UNIT_DIRECTOR_COORDINATION_ETCD_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { ETCDS_MAX = 3 };

struct etcds {
    size_t count;
    pid_t pids[ETCDS_MAX]; /* 0: does not run */
    char folder[64];
    char clients[ETCDS_MAX][64]; /* "http://127.0.0.1:port" */
    char peers[ETCDS_MAX][64];
    const char *endpoints[ETCDS_MAX];
};

bool etcds_are_installed(void);
/* Starts `count` that make one cluster. */
void etcds_start(struct etcds *etcds, size_t count);
void etcds_stop(struct etcds *etcds);
void etcds_signal(struct etcds *etcds, size_t i, int signal); /* SIGKILL: it is gone on return */
/* Again after SIGKILL, with its data; `elsewhere`: on another client port than its own. */
void etcds_restart(struct etcds *etcds, size_t i, const char *elsewhere);
/* A URL on a port that nobody uses, another at each call. */
void etcds_free_url(char out[64]);
/* Runs a command line in the etcds' folder; aborts the test if it fails. */
void etcds_shell(struct etcds *etcds, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
