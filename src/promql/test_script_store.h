/* test_script_store.h — stores for tests, filled by the `load` commands of promqltest.
 *
 * What        What a script loads, in memory.
 * Invariants  none
 * Ownership   the caller's, memstore_free
 * Threads     pure
 * Errors      a script that does not parse fails the test
 * Format      promqltest
 */
#ifndef EPI_PROMQL_TEST_SCRIPT_STORE_H
#define EPI_PROMQL_TEST_SCRIPT_STORE_H

#include "base/test.h"
#include "promql/script_run.h"
#include "storage/memstore.h"

static inline struct memstore *store_of(const char *script)
{
    struct memstore *m = memstore_new();
    struct script s = { 0 };
    struct err e = { 0 };
    EXPECT_OK_E(script_parse(&s, str_z(script), &e), &e);
    for (size_t i = 0; i < s.n; i++)
        EXPECT_OK_E(script_load_into(&s.at[i].load, memstore_appendable(m), &e), &e);
    script_fini(&s);
    return m;
}

#endif
