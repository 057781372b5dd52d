/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/err.h"

static const struct {
    const char *name;
    enum err_class class;
    const char *text;
} errs[ERR_COUNT] = {
#define ERR_ROW_(name, class, text) { #name, ERR_CLASS_##class, text },
    ERR_LIST(ERR_ROW_)
#undef ERR_ROW_
};

const char *err_name(enum err err)
{
    return (unsigned)err < ERR_COUNT ? errs[err].name : "ERR_UNKNOWN";
}

enum err_class err_class(enum err err)
{
    return (unsigned)err < ERR_COUNT ? errs[err].class : ERR_CLASS_SYSTEM;
}

const char *err_text(enum err err)
{
    return (unsigned)err < ERR_COUNT ? errs[err].text : "unknown error";
}
