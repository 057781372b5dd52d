/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/common/context.h"

static _Thread_local struct context *self;

struct context *context_self(void)
{
    return self;
}

void context_set_self(struct context *context)
{
    self = context;
}
