/* timefn.h — the parts of a time.
 *
 * What        year(), month(), hour() …: from seconds since the epoch, in UTC.
 * Invariants  none
 * Ownership   none
 * Threads     pure
 * Errors      none: what is no time gives the part of the farthest past, as a conversion of it to
 *             an integer does
 * Format      none
 */
#ifndef EPI_PROMQL_TIMEFN_H
#define EPI_PROMQL_TIMEFN_H

double (*time_function_find(const char *name))(double seconds);            /* NULL: none */

#endif
