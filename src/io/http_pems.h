/* http_pems.h — PEM texts of the configuration as files without names.
 *
 * What        The TLS library behind the transfer library reads certificates from files only.
 * Invariants  one file for one content, kept as long as this: connections are reused by equal paths
 * Ownership   new/free; a path belongs to this
 * Threads     the client's thread alone
 * Errors      where no file can be made, the path of an empty one: the transfer says so in words
 * Format      none
 */
#ifndef EPI_IO_HTTP_PEMS_H
#define EPI_IO_HTTP_PEMS_H

#include "base/str.h"

struct http_pems;
struct http_pems *http_pems_new(void);
void http_pems_free(struct http_pems *p);                      /* NULL is fine */
str http_pems_path(struct http_pems *p, str pem);              /* ends with a zero byte */

#endif
