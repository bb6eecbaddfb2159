/* opt_kinds.h — durations and sizes as values of flags.
 *
 * What        Kinds for the tables of base/opts.h.
 * Invariants  what is shown can be parsed again
 * Ownership   none
 * Threads     pure
 * Errors      ERR_BAD_INPUT with the words of duration.h and size.h
 * Format      as these
 */
#ifndef EPI_MODEL_OPT_KINDS_H
#define EPI_MODEL_OPT_KINDS_H

#include "base/opts.h"

extern const struct opt_kind opt_duration;   /* int64_t, milliseconds: "1h30m" */
extern const struct opt_kind opt_size;       /* int64_t, bytes: "512MB" */

#endif
