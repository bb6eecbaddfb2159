/* memory.c — the budget that the flags ask for. */
#include "cmd/epimetheus/flags.h"

#include "base/budget.h"
#include "base/f64.h"
#include "base/log.h"
#include "io/fs.h"
#include "io/memory_limit.h"
#include "model/size.h"

static errc percent_parse(str s, double *out)
{
    double pct;
    if (!s.n || s.p[s.n - 1] != '%' || !f64_parse(str_slice(s, 0, s.n - 1), &pct) ||
        !(pct > 0 && pct <= 100))
        return ERR_BAD_INPUT;
    *out = pct / 100;
    return OK;
}

errc memory_budget(const struct flags *f, uint64_t *out, struct err *e)
{
    double share = f->gomemlimit_ratio;
    int64_t bytes = 0;
    str s = f->memory_budget;
    *out = 0;
    if (!s.n && !f->gomemlimit) return OK;
    if (s.n && !str_eq(s, S("0")) && s.p[s.n - 1] != '%') {
        TRY_IN(e, size_parse(s, &bytes, e), "--memory.budget");
        *out = (uint64_t)MAX(bytes, 0);
        return OK;
    }
    if (str_eq(s, S("0"))) return OK;
    if (s.n && percent_parse(s, &share) != OK)
        return err_set(
            e, ERR_BAD_INPUT, "--memory.budget: \"%.*s\" is no size and no percentage", STR_ARG(s));
    struct fs *root = fs_real_new(S("/"));
    *out = (uint64_t)((double)memory_limit(root) * share);
    fs_free(root);
    return OK;
}

void memory_start(const struct flags *f)
{
    uint64_t bytes;
    if (memory_budget(f, &bytes, NULL) != OK) return; /* was looked at before */
    budget_set(bytes);
    LOG(INFO, "Memory budget", kv_u64("bytes", bytes));
}
