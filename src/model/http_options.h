/* http_options.h — how to speak HTTP to somebody: what a configuration says of one peer.
 *
 * What        Authentication, TLS, proxy, redirects and extra headers, as the configuration's HTTP
 *             client block has them.
 * Invariants  at most one kind of authentication is set; files are absolute or relative to the
 *             working folder
 * Ownership   borrows from the configuration's arena
 * Threads     const after loading: any
 * Errors      none
 * Format      none
 */
#ifndef EPI_MODEL_HTTP_OPTIONS_H
#define EPI_MODEL_HTTP_OPTIONS_H

#include "base/str.h"

enum tls_version { TLS_ANY, TLS_10, TLS_11, TLS_12, TLS_13 };

struct tls_options {
    str ca, cert, key;                 /* PEM in the configuration itself */
    str ca_file, cert_file, key_file, server_name;
    bool insecure_skip_verify;
    enum tls_version min_version, max_version;
};

struct proxy_options {
    str url, no_proxy;                 /* empty: none */
    bool from_environment;
    const struct http_header *connect_headers;
    size_t n_connect_headers;
};

/* Values, secrets and files of one header, sent in this order. */
struct http_header {
    str name;
    const str *values;
    size_t n_values;
    const str *secrets;
    size_t n_secrets;
    const str *files;
    size_t n_files;
};

struct oauth2_options {
    str client_id, client_secret, client_secret_file, token_url;
    const str *scopes;
    size_t n_scopes;
    const struct http_param *params;   /* endpoint_params */
    size_t n_params;
    struct tls_options tls;
    struct proxy_options proxy;
};
struct http_param { str name; const str *values; size_t n_values; };

struct http_options {
    bool basic;                        /* basic_auth is set */
    str username, username_file, password, password_file;
    /* authorization; auth_type empty: none ("Bearer" is the default type) */
    str auth_type, credentials, credentials_file;
    const struct oauth2_options *oauth2;
    struct tls_options tls;
    struct proxy_options proxy;
    bool follow_redirects, enable_http2;
    const struct http_header *headers;
    size_t n_headers;
};

#endif
