/* SPDX-License-Identifier: Apache-2.0 */
/* How long new mail waits for its recipients' partitions before it goes to the queue: as long as a fail-over
 * takes at least, and a multiple of what deliveries take now. A cluster that is only busy would otherwise be
 * given each message twice, once to store and once to queue, and become busier still. One a loop. */
#ifndef FRONTEND_SMTP_PATIENCE_H
#define FRONTEND_SMTP_PATIENCE_H

#include <stdint.h>

enum {
    PATIENCE_MULTIPLE = 5,   /* of the usual time of a delivery */
    PATIENCE_SMOOTHING = 8,  /* one delivery moves the usual time by one in so many */
    PATIENCE_MAX_MS = 10000, /* clients wait no longer than minutes (RFC 5321 4.5.3.2.6), people less */
};

/* Zero-initialised: nothing was delivered yet. */
struct patience {
    uint64_t usual_us; /* smoothed */
};

/* A delivery was stored everywhere, after so long. */
void patience_learn(struct patience *p, uint64_t took_ms);
/* QUEUE_HOME_WAIT_MS .. PATIENCE_MAX_MS */
uint32_t patience_wait_ms(const struct patience *p);

#endif
