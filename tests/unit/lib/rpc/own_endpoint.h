/* SPDX-License-Identifier: Apache-2.0 */
/* Where a server is started whose port must be free again when it comes back: on a loopback address of this
 * process's own, nobody else takes one, outgoing connections neither. */
#ifndef TESTS_UNIT_LIB_RPC_OWN_ENDPOINT_H
#define TESTS_UNIT_LIB_RPC_OWN_ENDPOINT_H

#include <stdio.h>
#include <unistd.h>

/* At a free port. The same text each time. */
static inline const char *own_endpoint(void)
{
    static char text[32];
    unsigned pid = (unsigned)getpid(); /* at most 22 bits */
    snprintf(text, sizeof text, "tcp://127.%u.%u.%u:0", 64 + (pid >> 16), pid >> 8 & 255, pid & 255);
    return text;
}

#endif
