/* script_nhcb.h — load_with_nhcb: what the classic histograms of a load are as native ones with
 * custom buckets.
 *
 * What        Collects the series of a load by histogram and time, converts and appends them.
 * Invariants  none
 * Ownership   nothing is kept
 * Threads     pure
 * Errors      ERR_BAD_INPUT with the reference's words; the appender's
 * Format      none
 */
#ifndef EPI_PROMQL_SCRIPT_NHCB_H
#define EPI_PROMQL_SCRIPT_NHCB_H

#include "promql/script.h"
#include "storage/appender.h"

MUST_USE errc script_nhcb_append(const struct script_load *l, struct appender *ap, struct err *e);

#endif
