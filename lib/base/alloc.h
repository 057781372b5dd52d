/* SPDX-License-Identifier: Apache-2.0 */
/* Allocation that must succeed: running out of memory ends the process (every size that comes from
 * outside was checked against a named limit before it got here). */
#ifndef LIB_BASE_ALLOC_H
#define LIB_BASE_ALLOC_H

#include <stddef.h>

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size); /* zeroed; count*size overflow ends the process */
void *xrealloc(void *ptr, size_t size);
void *xmemdup(const void *src, size_t size); /* size 0 gives a valid, freeable pointer */
char *xstrdup(const char *s);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define NEW(type)              ((type *)xcalloc(1, sizeof(type)))
#define NEW_ARRAY(type, count) ((type *)xcalloc((count), sizeof(type)))

#endif
