/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/methods.h"

static const struct {
    uint32_t number;
    enum method_kind kind;
    const char *name;
} methods[] = {
#define METHOD_ROW_(symbol, number, kind, proto, func) { number, METHOD_##kind, #symbol },
    METHOD_LIST(METHOD_ROW_)
#undef METHOD_ROW_
};

enum { METHOD_COUNT = sizeof methods / sizeof methods[0] };

const char *method_name(uint32_t number)
{
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        if (methods[i].number == number)
            return methods[i].name;
    }
    return "?";
}

bool method_find(uint32_t number, enum method_kind *kind_out)
{
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        if (methods[i].number == number) {
            *kind_out = methods[i].kind;
            return true;
        }
    }
    return false;
}
