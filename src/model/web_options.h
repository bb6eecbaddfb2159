/* web_options.h — how this server is spoken to: TLS, who may come in, headers of every answer, how
 * often.
 *
 * What        What a web configuration file says, with the files that it names read.
 * Invariants  tls: there are a certificate and a key (their texts need not be good); users' hashes
 *             look like bcrypt
 * Ownership   borrows from the loader's arena
 * Threads     const after loading: any
 * Errors      none
 * Format      none
 */
#ifndef EPI_MODEL_WEB_OPTIONS_H
#define EPI_MODEL_WEB_OPTIONS_H

#include "base/vec.h"
#include "model/http_options.h"

enum web_client_auth {
    WEB_CLIENT_NONE,
    WEB_CLIENT_REQUEST,
    WEB_CLIENT_REQUIRE_ANY,
    WEB_CLIENT_VERIFY_IF_GIVEN,
    WEB_CLIENT_REQUIRE_AND_VERIFY
};
struct web_pair { str name, value; };

struct web_options {
    bool tls, http2;
    str cert, key, client_ca;          /* PEM; client_ca empty: the system's */
    enum web_client_auth client_auth;
    bool sans_limited;                 /* a client's certificate needs one of these */
    str_list allowed_sans;
    enum tls_version min_version, max_version;
    str_list cipher_suites, curves;    /* Go's names; empty: all that are good */
    const struct web_pair *headers; size_t n_headers;
    const struct web_pair *users; size_t n_users;      /* name, bcrypt */
    int64_t rate_interval_ns, rate_burst;      /* interval 0: no limit */
    uint64_t fingerprint;              /* of all texts: another one, other options */
};

#endif
