/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes from the kernel (getrandom). Pure code never calls these: randomness comes in as a value. */
#ifndef LIB_BASE_RAND_H
#define LIB_BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

void rand_bytes(void *out, size_t len);
uint64_t rand_u64(void);

#endif
