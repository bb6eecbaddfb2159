#include "base/intern.h"

#include "base/account.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/mem.h"

ACCOUNT(intern_account, "interned_strings")

struct interned {
    uint64_t refs;
    size_t n;
    uint8_t bytes[];
};

static struct mtx intern_mu; /* LOCK_LEAF */
static struct map intern_all; /* GUARDED_BY(intern_mu) */
__attribute__((constructor)) static void intern_init(void) { mtx_init(&intern_mu, LOCK_LEAF); }

static bool intern_is(const void *val, const void *key)
{
    const struct interned *x = val;
    return str_eq(str_of(x->bytes, x->n), *(const str *)key);
}

str intern_ref(str s)
{
    if (!s.n) return STR_EMPTY;
    uint64_t hash = hash_str(s);
    mtx_lock(&intern_mu);
    struct interned *x = map_find(&intern_all, hash, intern_is, &s);
    if (!x) {
        x = mem_alloc(sizeof(*x) + s.n);
        x->refs = 0;
        x->n = s.n;
        memcpy(x->bytes, s.p, s.n);
        map_put(&intern_all, hash, x);
        account_charge(&intern_account, (int64_t)(sizeof(*x) + s.n));
    }
    x->refs++;
    mtx_unlock(&intern_mu);
    return str_of(x->bytes, x->n);
}

void intern_unref(str s)
{
    if (!s.n) return;
    uint64_t hash = hash_str(s);
    mtx_lock(&intern_mu);
    struct interned *x = map_find(&intern_all, hash, intern_is, &s);
    assert(x && x->bytes == s.p && x->refs > 0);
    if (--x->refs) x = NULL;
    if (x) map_remove(&intern_all, hash, intern_is, &s);
    if (!intern_all.n) map_fini(&intern_all);
    mtx_unlock(&intern_mu);
    if (!x) return;
    account_charge(&intern_account, -(int64_t)(sizeof(*x) + x->n));
    mem_free(x);
}

size_t intern_count(void)
{
    mtx_lock(&intern_mu);
    size_t n = intern_all.n;
    mtx_unlock(&intern_mu);
    return n;
}
