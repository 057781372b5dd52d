/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/smtp/patience.h"

#include "frontend/queue/queue.h"

void patience_learn(struct patience *p, uint64_t took_ms)
{
    uint64_t took_us = took_ms * 1000;
    p->usual_us = p->usual_us - p->usual_us / PATIENCE_SMOOTHING + took_us / PATIENCE_SMOOTHING;
}

uint32_t patience_wait_ms(const struct patience *p)
{
    uint64_t wait_ms = PATIENCE_MULTIPLE * p->usual_us / 1000;
    if (wait_ms < QUEUE_HOME_WAIT_MS)
        return QUEUE_HOME_WAIT_MS;
    return wait_ms < PATIENCE_MAX_MS ? (uint32_t)wait_ms : PATIENCE_MAX_MS;
}
