/* http_tls.h — what others say of HTTP requests before they make one: headers, and TLS.
 *
 * What        Pairs, certificates, and versions, for the settings of rooms that speak HTTP.
 * Invariants  none
 * Ownership   borrows
 * Threads     values
 * Errors      none
 * Format      none
 */
#ifndef EPI_IO_HTTP_TLS_H
#define EPI_IO_HTTP_TLS_H

#include "base/str.h"

struct http_field { str name, value; };

enum http_tls_version { HTTP_TLS_DEFAULT, HTTP_TLS_10, HTTP_TLS_11, HTTP_TLS_12, HTTP_TLS_13 };
struct http_tls {
    str ca, cert, key;                 /* PEM */
    str ca_file, cert_file, key_file;  /* read at each new connection */
    str server_name;                   /* for SNI and verification instead of the URL's host */
    bool insecure;
    enum http_tls_version min_version, max_version;
};

#endif
