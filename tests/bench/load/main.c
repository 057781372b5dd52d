/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_load: command line of the load client. One line of JSON on stdout, failures counted in it; exit
 * status 1 if the server stalled.
 */
#include "tests/bench/load/load.h"

#include <dirent.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage_text[] =
    "usage: bench_load smtp|imap|pop3 --port PORT --connections N (--units N | --seconds S)\n"
    "                  --users N --user-format FORMAT [--password TEXT] [--messages DIR] [--retrieve N]\n"
    "                  [--rate UNITS_A_SECOND]\n"
    "FORMAT has one %u, from 1 to the number of users. DIR holds messages with CRLF line ends (smtp).\n"
    "SIGINT ends it in order, with a report.\n";

static void refuse(const char *text)
{
    fprintf(stderr, "bench_load: %s\n%s", text, usage_text);
    exit(2);
}

/* The file as it goes over the wire after DATA (RFC 5321 4.5.2). */
static struct message read_message(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(1);
    }
    size_t size = (size_t)ftell(file);
    rewind(file);
    char *text = malloc(size + 1), *wire = malloc(2 * size + 6);
    if (text == NULL || wire == NULL || fread(text, 1, size, file) != size) {
        perror(path);
        exit(1);
    }
    fclose(file);
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '.' && (i == 0 || text[i - 1] == '\n'))
            wire[used++] = '.';
        wire[used++] = text[i];
    }
    if (size == 0 || text[size - 1] != '\n') {
        memcpy(wire + used, "\r\n", 2);
        used += 2;
    }
    memcpy(wire + used, ".\r\n", 3);
    free(text);
    return (struct message){ .bytes = wire, .size = used + 3 };
}

static void read_messages(const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    if (count < 0) {
        perror(folder);
        exit(1);
    }
    options.messages = calloc((size_t)count, sizeof *options.messages);
    for (int i = 0; i < count; i++) {
        if (options.messages != NULL && entries[i]->d_name[0] != '.') {
            char path[4096];
            snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
            options.messages[options.message_count++] = read_message(path);
        }
        free(entries[i]);
    }
    free(entries);
}

static void choose_protocol(const char *name)
{
    static const struct protocol *const protocols[] = { &protocol_smtp, &protocol_imap, &protocol_pop3 };
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++) {
        if (strcmp(protocols[i]->name, name) == 0)
            options.protocol = protocols[i];
    }
    if (options.protocol == NULL)
        refuse("no such protocol");
}

static void parse_arguments(int count, char **arguments)
{
    static const struct option known[] = {
        { "port", required_argument, NULL, 'P' },
        { "connections", required_argument, NULL, 'c' },
        { "units", required_argument, NULL, 'n' },
        { "seconds", required_argument, NULL, 's' },
        { "users", required_argument, NULL, 'u' },
        { "user-format", required_argument, NULL, 'f' },
        { "password", required_argument, NULL, 'p' },
        { "messages", required_argument, NULL, 'm' },
        { "retrieve", required_argument, NULL, 'r' },
        { "rate", required_argument, NULL, 'R' },
        { NULL, 0, NULL, 0 },
    };
    int option;
    while ((option = getopt_long(count, arguments, "", known, NULL)) != -1) {
        switch (option) {
        case 'P':
            options.port = (uint16_t)strtoul(optarg, NULL, 10);
            break;
        case 'c':
            options.connections = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'n':
            options.units = strtol(optarg, NULL, 10);
            break;
        case 's':
            options.seconds = strtod(optarg, NULL);
            break;
        case 'u':
            options.users = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'f':
            options.user_format = optarg;
            break;
        case 'p':
            options.password = optarg;
            break;
        case 'm':
            read_messages(optarg);
            break;
        case 'r':
            options.retrieve = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'R':
            options.rate = strtod(optarg, NULL);
            break;
        default:
            refuse("what is that?");
        }
    }
    if (optind != count - 1)
        refuse("one protocol is needed");
    choose_protocol(arguments[optind]);
    if (options.port == 0 || options.connections == 0 || options.users == 0)
        refuse("--port, --connections and --users must not be zero");
    if (options.units == 0 && options.seconds == 0)
        refuse("--units or --seconds is needed");
    if (options.rate < 0 || (options.rate > 0 && options.protocol->on_due == NULL))
        refuse("--rate is not for this protocol");
    if (options.protocol == &protocol_smtp && options.message_count == 0)
        refuse("--messages is needed, and messages in it");
}

int main(int count, char **arguments)
{
    parse_arguments(count, arguments);
    bool is_alive = engine_run();
    engine_report();
    for (unsigned i = 0; i < options.message_count; i++)
        free(options.messages[i].bytes);
    free(options.messages);
    return is_alive ? 0 : 1;
}
