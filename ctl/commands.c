/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/command.h"

#define PASSWORD (CTL_PASSWORD_STDIN | CTL_PASSWORD_HASH)

const struct command commands[] = {
    { "domain", "add", "DOMAIN", 1, 1, 0, domain_add, "take mail for a domain" },
    { "domain", "list", "", 0, 0, CTL_JSON, domain_list, "list the domains" },
    { "domain", "delete", "DOMAIN", 1, 1, CTL_FORCE, domain_delete, "take no more mail for a domain" },
    { "user", "add", "ADDRESS", 1, 1, PASSWORD | CTL_QUOTA, user_add, "make an account" },
    { "user", "passwd", "ADDRESS", 1, 1, PASSWORD, user_passwd, "change an account's password" },
    { "user", "list", "[DOMAIN]", 0, 1, CTL_JSON, user_list, "list accounts" },
    { "user", "show", "ADDRESS", 1, 1, CTL_JSON, user_show, "show one account" },
    { "user", "set", "ADDRESS", 1, 1, CTL_QUOTA, user_set, "change an account's quota" },
    { "user", "suspend", "ADDRESS", 1, 1, 0, user_suspend, "forbid logging in; mail still arrives" },
    { "user", "resume", "ADDRESS", 1, 1, 0, user_resume, "allow logging in again" },
    { "user", "delete", "ADDRESS", 1, 1, 0, user_delete, "delete an account and all its mail" },
    { "alias", "add", "ADDRESS TARGET...", 2, CTL_ARGUMENTS_MAX, 0, alias_add, "make or replace an alias" },
    { "alias", "list", "[DOMAIN]", 0, 1, CTL_JSON, alias_list, "list aliases" },
    { "alias", "delete", "ADDRESS", 1, 1, 0, alias_delete, "delete an alias" },
    { "cluster", "status", "", 0, 0, CTL_JSON, cluster_status, "show how the cluster is" },
    { "node", "list", "", 0, 0, CTL_JSON, node_list, "list storage nodes" },
    { "partition", "list", "", 0, 0, CTL_JSON, partition_list, "list partitions and who holds them" },
    { "partition", "show", "NUMBER|ADDRESS", 1, 1, CTL_JSON, partition_show,
      "show one partition, or an address's" },
    { "keys", "generate", "DIR", 1, 1, CTL_OFFLINE, keys_generate,
      "make the keys that programs of a cluster know each other by" },
    { "keys", "list", "DIR", 1, 1, CTL_OFFLINE | CTL_JSON, keys_list, "list the public keys in a folder" },
    { "keys", "rotate", "DIR", 1, 1, CTL_OFFLINE, keys_rotate,
      "make the next step of an exchange of keys, and say the one after" },
    { .noun = NULL },
};
