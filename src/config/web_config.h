/* web_config.h — the web configuration file: TLS, users, headers and rate of this server itself.
 *
 * What        Read strictly by a table of fields like the main configuration; certificates, keys
 *             and authorities are read with it.
 * Invariants  what loads can be served, but for certificates that are no certificates
 * Ownership   all lies in the arena
 * Threads     none
 * Errors      ERR_NOT_FOUND, ERR_IO: a file; ERR_BAD_INPUT with the words of Prometheus' web
 *             toolkit
 * Format      tls_server_config, http_server_config, basic_auth_users, rate_limit
 */
#ifndef EPI_CONFIG_WEB_CONFIG_H
#define EPI_CONFIG_WEB_CONFIG_H

#include "base/arena.h"
#include "base/err.h"
#include "model/web_options.h"

/* text: the file's content; path: its name, whose folder relative names are of. */
MUST_USE errc web_config_parse(
    struct web_options *out, str text, str path, struct arena *a, struct err *e);
MUST_USE errc web_config_load(struct web_options *out, str path, struct arena *a, struct err *e);

#endif
