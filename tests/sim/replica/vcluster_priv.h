/* SPDX-License-Identifier: Apache-2.0 */
/* Between vcluster.c, vpool.c and vperform.c. */
#ifndef TESTS_SIM_REPLICA_VCLUSTER_PRIV_H
#define TESTS_SIM_REPLICA_VCLUSTER_PRIV_H

#include "tests/sim/replica/vcluster.h"

/* Zeroed, the caller fills it in and posts it. */
struct vmsg *vc_new_msg(struct vc *vc, enum vmsg_kind kind, int from, int to);
/* Into the pool, or lost, as vc->route says. Takes the message. */
void vc_post(struct vc *vc, struct vmsg *m);
/* One event into node n's replica, its actions performed, the invariants checked. */
void vc_step(struct vc *vc, int n, struct replica_event *ev, const struct vmsg *cause);
void vc_close_snap(struct vsnap *snap);
/* `cause` is the message of the step, NULL if there was none. */
void vc_perform(struct vc *vc, int n, const struct replica_action *a, const struct vmsg *cause);

#endif
