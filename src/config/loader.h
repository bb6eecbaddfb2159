/* loader.h — what one load of a configuration carries along, inside this room.
 *
 * What        The load, its options, and the jobs and rules made so far.
 * Invariants  none
 * Ownership   config_parse owns it, on its stack
 * Threads     none
 * Errors      none
 * Format      none
 */
#ifndef EPI_CONFIG_LOADER_H
#define EPI_CONFIG_LOADER_H

#include "config/config.h"
#include "config/sections.h"

struct loader {
    struct load l;
    struct config *c;
    const struct config_opts *o;
    VEC(struct relabel_rules) rules;   /* compiled: the configuration frees them */
    VEC(struct value *) jobs;          /* of the main file, then of scrape_config_files */
};

/* A checked section with HTTP_CLIENT_FIELDS. */
struct http_options config_fill_http(struct arena *a, const struct value *v);
/* The checked tree into the structs of the rooms. */
MUST_USE errc config_fill(struct loader *ld, const struct value *root, struct err *e);

#endif
