/* script.h — scripts in the promqltest language: load, clear, eval, expect.
 *
 * What        Text to commands. The whole script is read before the first command runs; expressions
 *             have to parse, also where a failure is expected.
 * Invariants  commands come in the order of their lines; line numbers count from 1
 * Ownership   all lies in the script's arena; script_fini frees the regexes, the trees and the
 *             arena
 * Threads     one
 * Errors      ERR_BAD_INPUT "line 7: …"
 * Format      promqltest of Prometheus 3.14
 */
#ifndef EPI_PROMQL_SCRIPT_H
#define EPI_PROMQL_SCRIPT_H

#include "promql/parse.h"

/* of one sample's start timestamp, from the sample's time */
struct script_start { bool omitted; int64_t offset_ms; };
/* st NULL: none */
struct script_series {
    struct series_description d;
    const struct script_start *st;
};
struct script_load { int64_t step_ms; bool nhcb; struct script_series *at; size_t n; };

enum script_expect {
    EXPECT_ORDERED,
    EXPECT_FAIL,
    EXPECT_WARN,
    EXPECT_NO_WARN,
    EXPECT_INFO,
    EXPECT_NO_INFO
};
/* re: searched; any: whatever it is */
struct script_text { enum script_expect kind; bool any; str words; struct regex *re; };
/* pos: from 1, for ordered results */
struct script_expected { size_t pos; struct series_description d; };

struct script_eval {
    str expr;
    bool range;                            /* else instant: at end_ms */
    /* also where the points of an expected range vector lie */
    int64_t start_ms, end_ms, step_ms;
    struct expr *tree;
    const struct script_text *texts; size_t n_texts;
    struct script_expected *series; size_t n_series;
    bool scalar; double scalar_value;      /* a scalar is expected */
    str text;                              /* a string is expected */
    bool instant_only;                     /* not run as a range query too */
    bool any_warn, any_info, ordered, fail;
};
enum script_kind { SCRIPT_CLEAR, SCRIPT_LOAD, SCRIPT_EVAL };
struct script_cmd {
    enum script_kind kind;
    size_t line;
    union {
        struct script_load load;
        struct script_eval eval;
    };
};
struct script { struct script_cmd *at; size_t n; struct arena a; };

MUST_USE errc script_parse(struct script *out, str text, struct err *e);
void script_fini(struct script *s);                            /* the zero value is fine */
bool script_text_matches(const struct script_text *t, str s);

extern const struct parse_opts script_parse_opts;              /* all features on */

#endif
