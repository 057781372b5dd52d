/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/codec/smtp_command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct smtp_command command = smtp_command_parse(slice_of(data, size));
    struct smtp_mail mail;
    struct slice path;
    uint64_t bytes;
    bool last;
    if (smtp_mail_parse(command.args, &mail) == OK && mail.path.len > size)
        __builtin_trap();
    if (smtp_rcpt_parse(command.args, &path) == OK && path.len == 0)
        __builtin_trap();
    (void)!smtp_bdat_parse(command.args, &bytes, &last);
    return 0;
}
