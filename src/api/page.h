/* page.h — the page at /query, as bytes in the program.
 *
 * What        src/api/assets/ embedded by the build (tools/embed).
 * Invariants  none
 * Ownership   static
 * Threads     const
 * Errors      none
 * Format      HTML with its script and style inside: no request to anybody else
 */
#ifndef EPI_API_PAGE_H
#define EPI_API_PAGE_H

#include "base/str.h"

str page_html(void);
str page_icon(void);

#endif
