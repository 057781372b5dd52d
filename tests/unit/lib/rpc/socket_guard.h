/* SPDX-License-Identifier: Apache-2.0 */
/* A ZeroMQ socket may change threads, but two threads may not be inside it at once, nor anybody after it was
 * closed; ZeroMQ itself checks neither. A program linked with socket-guard counts both: its calls into ZeroMQ
 * go through here, and take a little longer, so that others meet them. */
#ifndef TESTS_UNIT_LIB_RPC_SOCKET_GUARD_H
#define TESTS_UNIT_LIB_RPC_SOCKET_GUARD_H

/* Calls so far that found another thread in the socket, or the socket closed. */
unsigned socket_guard_broken(void);
/* Calls so far: there is something to guard. */
unsigned socket_guard_calls(void);

#endif
