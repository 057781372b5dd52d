/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/listeners.h"

#include <stdlib.h>

#include "frontend/imap/imap.h"
#include "frontend/pop3/pop3.h"
#include "frontend/smtp/smtp.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"

enum { PROXY_NETS_MAX = 64 };

struct listeners {
    struct listener **items;
    size_t count;
    struct addr_net proxy_nets[PROXY_NETS_MAX];
    size_t proxy_net_count;
};

/* name, where the configuration has its addresses, default port, TLS from the first byte, session, refusal.
 */
static const struct service {
    const char *name;
    size_t offset;
    uint16_t port;
    bool tls;
    void (*serve)(struct stream *s, void *arg);
    const char *refusal;
} services[] = {
    { "smtp", offsetof(struct frontend_config, smtp), 25, false, smtp_serve, SMTP_REFUSAL },
    { "submission", offsetof(struct frontend_config, submission), 587, false, smtp_serve_submission,
      SMTP_REFUSAL },
    { "submissions", offsetof(struct frontend_config, submissions), 465, true, smtp_serve_submission,
      SMTP_REFUSAL },
    { "imap", offsetof(struct frontend_config, imap), 143, false, imap_serve, IMAP_REFUSAL },
    { "imaps", offsetof(struct frontend_config, imaps), 993, true, imap_serve, IMAP_REFUSAL },
    { "pop3", offsetof(struct frontend_config, pop3), 110, false, pop3_serve, POP3_REFUSAL },
    { "pop3s", offsetof(struct frontend_config, pop3s), 995, true, pop3_serve, POP3_REFUSAL },
};

enum { SERVICE_COUNT = sizeof services / sizeof services[0] };

static const struct config_strings *addresses_of(const struct frontend_config *config,
                                                 const struct service *service)
{
    return (const void *)((const char *)config + service->offset);
}

static void read_proxy_nets(const struct frontend_config *config, struct listeners *all)
{
    if (config->proxy_nets.count > PROXY_NETS_MAX)
        log_fatal("frontend", "proxy_nets: more than %d networks", PROXY_NETS_MAX);
    for (size_t i = 0; i < config->proxy_nets.count; i++) {
        if (addr_net_parse(slice_str(config->proxy_nets.items[i]), &all->proxy_nets[i]) != OK)
            log_fatal("frontend", "proxy_nets: \"%s\" is no network", config->proxy_nets.items[i]);
    }
    all->proxy_net_count = config->proxy_nets.count;
}

static double count_connections(void *arg)
{
    return (double)listener_connections(arg);
}

static struct listener *bind_one(const struct service *service, const char *address,
                                 const struct frontend_config *config, const struct listeners *all,
                                 struct tls_server *tls)
{
    struct listener_config lc = {
        .name = service->name,
        .connections_max = (size_t)config->connections_max,
        .peer_connections_max = (size_t)config->peer_connections_max,
        .refusal = slice_str(service->refusal),
        .tls = service->tls ? tls : NULL,
        .proxy_nets = all->proxy_nets,
        .proxy_nets_count = all->proxy_net_count,
        .serve = service->serve,
    };
    struct listener *listener;
    if (addr_parse(slice_str(address), service->port, &lc.addr) != OK)
        log_fatal("frontend", "listen.%s: \"%s\" is no address", service->name, address);
    if (service->tls && tls == NULL)
        log_fatal("frontend", "listen.%s needs tls.certificate and tls.key", service->name);
    enum err err = listener_bind(&lc, &listener);
    if (err != OK)
        log_fatal("frontend", "cannot listen for %s on %s: %s", service->name, address, err_text(err));
    metrics_gauge_func("tern_connections", "Open client connections.",
                       METRIC_LABELS("service", service->name, "listen", address), count_connections,
                       listener);
    log_info("frontend", "listening service=%s address=%s", service->name, address);
    return listener;
}

struct listeners *listeners_bind(const struct frontend_config *config, struct tls_server *tls)
{
    struct listeners *all = NEW(struct listeners);
    size_t most = 0;
    read_proxy_nets(config, all);
    for (size_t i = 0; i < SERVICE_COUNT; i++)
        most += addresses_of(config, &services[i])->count;
    all->items = NEW_ARRAY(struct listener *, most);
    for (size_t i = 0; i < SERVICE_COUNT; i++) {
        const struct config_strings *addresses = addresses_of(config, &services[i]);
        for (size_t j = 0; j < addresses->count; j++)
            all->items[all->count++] = bind_one(&services[i], addresses->items[j], config, all, tls);
    }
    if (all->count == 0)
        log_fatal("frontend", "nothing to do: no listen.* address is configured");
    return all;
}

void listeners_start(struct listeners *all, struct loop *const *loops, size_t count)
{
    for (size_t i = 0; i < all->count; i++)
        listener_start(all->items[i], loops, count, i % count);
}

void listeners_drain(struct listeners *all)
{
    for (size_t i = 0; i < all->count; i++)
        listener_drain(all->items[i]);
}

void listeners_abort(struct listeners *all)
{
    for (size_t i = 0; i < all->count; i++)
        listener_abort(all->items[i]);
}

size_t listeners_connections(const struct listeners *all)
{
    size_t count = 0;
    for (size_t i = 0; i < all->count; i++)
        count += listener_connections(all->items[i]);
    return count;
}
