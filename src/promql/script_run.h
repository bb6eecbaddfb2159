/* script_run.h — runs a promqltest script on a storage and an engine.
 *
 * What        Commands in order; each eval with its variants (as a range query, with @ put in) and
 *             checks, as the reference's runner.
 * Invariants  every eval is reported once, in the order of lines: passed, failed with words, or
 *             skipped with the reason
 * Ownership   borrows script and storage
 * Threads     one
 * Errors      a load that fails ends the run: it and all evals after it are reported as failed
 * Format      none
 */
#ifndef EPI_PROMQL_SCRIPT_RUN_H
#define EPI_PROMQL_SCRIPT_RUN_H

#include "promql/engine.h"
#include "promql/script.h"
#include "storage/appender.h"

/* An empty storage that can be emptied. reset ends what the other two handed out. */
struct script_storage {
    void *ctx;
    errc (*reset)(void *ctx, struct err *e);
    struct appendable *(*appendable)(void *ctx);
    struct queryable *(*queryable)(void *ctx);
};

enum script_outcome { SCRIPT_PASSED, SCRIPT_FAILED };
struct script_report {
    void *ctx;
    void (*eval)(void *ctx, size_t line, enum script_outcome outcome, str why);
};

void script_run(const struct script *s, const struct script_storage *st, struct engine *en,
    const struct script_report *report);

/* The engine that scripts expect. */
struct engine_opts script_engine_opts(void);

/* One load command, also for whoever fills a storage by hand. */
MUST_USE errc script_load_into(
    const struct script_load *l, struct appendable *to, struct err *e);

/* A result against the expectations of an eval; start and step: of the points of a matrix. */
MUST_USE errc script_compare(const struct script_eval *ev, const struct result *r, struct err *e);
bool script_floats_equal(double a, double b);

#endif
