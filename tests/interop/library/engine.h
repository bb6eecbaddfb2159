/* engine.h — our engine as a shared library, for the Go programs of tests/interop.
 *
 * What        Opens a data folder as it lies there, writes to it, and answers questions about it,
 *             JSON in and out.
 * Invariants  the folder is not changed: what an opening writes is kept in memory
 * Ownership   interop_open allocates, interop_close frees; texts that are handed out are freed by
 *             interop_free
 * Threads     one at a time for each folder
 * Errors      interop_open: NULL and words; a question's are in its answer
 * Format      question {"query":…, "start":ms, "end":ms, "step":ms, "lookback":ms},
 *             step 0: instant, lookback 0: 5 minutes; with "kept":true it may be answered by what
 *             is kept of answers to such questions; or {"parse":…}; or one of write.h.
 *             answer {"kind":…, "series":[{"labels":[[name, value],…], "points":[[ms, bits or
 *             histogram],…]},…], "text":…, "at":ms, "warnings":[…], "infos":[…], "counts":…,
 *             "kept": some of it was}, {"text":…} of parse, or {"code":…, "error":…}
 */
#ifndef EPI_INTEROP_ENGINE_H
#define EPI_INTEROP_ENGINE_H

#include <stddef.h>

struct interop;
/* options: {"dir":…, "range_ms":n, "xor2":bool, "max_samples":n, "timeout_ms":n,
 * "delayed_name_removal":bool, "start_timestamps":bool, "type_and_unit":bool,
 * "late_ms":n, "kept_bytes":n} */
struct interop *interop_open(const char *options, char **why);
char *interop_ask(struct interop *i, const char *question);
void interop_close(struct interop *i);
void interop_free(char *text);

#endif
