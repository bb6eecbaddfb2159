#include "api/gate.h"

#include "api/respond.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/prng.h"

#include <crypt.h>

/* Answers that bcrypt gave: a keyed digest of user, hash and password, and whether they fit. Full:
 * one at random goes. */
enum { CACHE_MAX = 100, KEY_BYTES = 32, SECRET_BYTES = 32 };
struct answer { uint8_t key[KEY_BYTES]; bool good; };

struct gate {
    struct mtx mu;                             /* LOCK_LEAF: all but secret */
    struct arena a;                            /* of o */
    struct web_options o;
    bool broken;
    double tokens;                             /* of the rate limit */
    int64_t filled_ns;
    int64_t rate_interval_ns, rate_burst;      /* of the first options */
    struct answer cache[CACHE_MAX];
    size_t n_cache;
    struct prng prng;
    struct mtx slow;                           /* LOCK_LEAF: one bcrypt at a time */
    uint8_t secret[SECRET_BYTES];              /* const */
};

static const struct web_pair *copy_pairs(struct arena *a, const struct web_pair *from, size_t n)
{
    struct web_pair *at = arena_array(a, n + 1, sizeof(*at));
    for (size_t i = 0; i < n; i++)
        at[i] = (struct web_pair){ arena_str(a, from[i].name), arena_str(a, from[i].value) };
    return at;
}

/* As Go writes names of headers: Www-Authenticate. */
static str canonical(struct arena *a, str name)
{
    char *p = arena_cstr(a, name);
    for (size_t i = 0; i < name.n; i++) {
        bool first = i == 0 || p[i - 1] == '-';
        if (first && p[i] >= 'a' && p[i] <= 'z') p[i] = (char)(p[i] - 32);
        else if (!first && p[i] >= 'A' && p[i] <= 'Z') p[i] = (char)(p[i] + 32);
    }
    return str_of(p, name.n);
}

void gate_set(struct gate *g, const struct web_options *o)
{
    mtx_lock(&g->mu);
    g->broken = !o;
    if (o) {
        arena_fini(&g->a);
        arena_init(&g->a, NULL, 0);
        g->o = (struct web_options){ .headers = copy_pairs(&g->a, o->headers, o->n_headers),
            .n_headers = o->n_headers,
            .users = copy_pairs(&g->a, o->users, o->n_users),
            .n_users = o->n_users };
    }
    for (size_t i = 0; i < g->o.n_headers; i++)
        ((struct web_pair *)g->o.headers)[i].name = canonical(&g->a, g->o.headers[i].name);
    mtx_unlock(&g->mu);
}

struct gate *gate_new(const struct web_options *o)
{
    struct gate *g = NEW(struct gate);
    mtx_init(&g->mu, LOCK_LEAF);
    mtx_init(&g->slow, LOCK_LEAF);
    arena_init(&g->a, NULL, 0);
    prng_secret(g->secret, sizeof(g->secret));
    prng_secret(&g->prng, sizeof(g->prng));
    g->rate_interval_ns = o->rate_interval_ns;
    g->rate_burst = o->rate_burst;
    g->tokens = (double)o->rate_burst;
    g->filled_ns = clock_mono_ns();
    gate_set(g, o);
    return g;
}

void gate_free(struct gate *g)
{
    if (!g) return;
    arena_fini(&g->a);
    mtx_fini(&g->slow);
    mtx_fini(&g->mu);
    mem_free(g);
}

static bool rate_allows_locked(struct gate *g)
{
    if (g->rate_interval_ns <= 0) return true;
    int64_t now = clock_mono_ns();
    g->tokens = MIN((double)g->rate_burst,
        g->tokens + (double)(now - g->filled_ns) / (double)g->rate_interval_ns);
    g->filled_ns = now;
    if (g->tokens < 1) return false;
    g->tokens -= 1;
    return true;
}

static const char base64_letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool base64_decode(str s, struct arena *a, str *out)
{
    if (s.n % 4) return false;
    uint8_t *p = arena_alloc(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i += 4) {
        uint32_t v = 0;
        unsigned pad = 0;
        for (size_t k = 0; k < 4; k++) {
            uint8_t c = s.p[i + k];
            const char *at = c ? strchr(base64_letters, c) : NULL;
            if (c == '=' && i + 4 == s.n && k >= 2) pad++;
            else if (!at || pad) return false;
            v = v << 6 | (at ? (uint32_t)(at - base64_letters) : 0);
        }
        for (unsigned k = 0; k < 3 - pad; k++) p[n++] = (uint8_t)(v >> (16 - 8 * k));
    }
    *out = str_of(p, n);
    return true;
}

/* The user and password of a request; false: it names none. */
static bool basic_auth(struct http_req *r, str *user, str *password)
{
    str header = http_header(r, "Authorization"), text;
    if (header.n < 6 || !str_eq_nocase(str_slice(header, 0, 6), S("Basic "))) return false;
    return base64_decode(str_from(header, 6), &r->arena, &text) &&
           str_cut(text, ':', user, password);
}

static void cache_key(
    const struct gate *g, str user, str hash, str password, uint8_t out[KEY_BYTES])
{
    const str parts[] = { user, hash, password };
    struct sha256 *d = digest_sha256_new();
    digest_sha256_add(d, str_of(g->secret, SECRET_BYTES));
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        uint64_t n = parts[i].n;
        digest_sha256_add(d, str_of(&n, sizeof(n)));
        digest_sha256_add(d, parts[i]);
    }
    digest_sha256_end(d, out);
}

static const struct answer *cache_find_locked(const struct gate *g, const uint8_t *key)
{
    for (size_t i = 0; i < g->n_cache; i++)
        if (memcmp(g->cache[i].key, key, KEY_BYTES) == 0) return &g->cache[i];
    return NULL;
}

static bool bcrypt_fits(str hash, str password, struct arena *a)
{
    if (memchr(password.p ? password.p : (const uint8_t *)"", 0, password.n)) return false;
    struct crypt_data *room = NEW(struct crypt_data);
    const char *want = arena_cstr(a, hash),
               *got = crypt_rn(arena_cstr(a, password), want, room, (int)sizeof(*room));
    size_t n = got ? strlen(got) : 0;
    uint8_t differ = n != hash.n;
    for (size_t i = 0; i < n && i < hash.n; i++) differ |= (uint8_t)(got[i] ^ want[i]);
    explicit_bzero(room, sizeof(*room));
    mem_free(room);
    return !differ;
}

static bool compare(
    struct gate *g, str hash, str password, bool known, const uint8_t *key, struct arena *a)
{
    mtx_lock(&g->slow);
    bool good = bcrypt_fits(hash, password, a) && known;
    mtx_unlock(&g->slow);
    mtx_lock(&g->mu);
    if (!cache_find_locked(g, key)) {
        struct answer *at =
            &g->cache[g->n_cache < CACHE_MAX ? g->n_cache++ : prng_below(&g->prng, CACHE_MAX)];
        memcpy(at->key, key, KEY_BYTES);
        at->good = good;
    }
    mtx_unlock(&g->mu);
    return good;
}

static enum http_guard refuse(struct http_resp *w)
{
    http_resp_header(w, S("Www-Authenticate"), S("Basic"));
    api_http_error(w, 401, S("Unauthorized\n"));
    return HTTP_ANSWERED;
}

static enum http_guard check_user(
    struct gate *g, struct http_req *r, struct http_resp *w, bool may_wait)
{
    /* Of "fakepassword": who is not known costs as much as who is. */
    str user, password, hash = S("$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi");
    if (!basic_auth(r, &user, &password)) return refuse(w);
    bool known = false, good = false;
    mtx_lock(&g->mu);
    for (size_t i = 0; i < g->o.n_users; i++)
        if (str_eq(g->o.users[i].name, user)) {
            hash = arena_str(&r->arena, g->o.users[i].value);
            known = true;
        }
    mtx_unlock(&g->mu);
    uint8_t key[KEY_BYTES];
    cache_key(g, user, hash, password, key);
    mtx_lock(&g->mu);
    const struct answer *found = cache_find_locked(g, key);
    if (found) good = found->good;
    mtx_unlock(&g->mu);
    if (!found && !may_wait) return HTTP_LATER;
    if (!found) good = compare(g, hash, password, known, key, &r->arena);
    return good && known ? HTTP_PASS : refuse(w);
}

enum http_guard gate_guard(void *gate, struct http_req *r, struct http_resp *w, bool may_wait)
{
    struct gate *g = gate;
    if (!may_wait) {                           /* a second call of one request has been here */
        mtx_lock(&g->mu);
        bool broken = g->broken, allowed = broken || rate_allows_locked(g);
        for (size_t i = 0; allowed && !broken && i < g->o.n_headers; i++)
            http_resp_header(w, arena_str(&r->arena, g->o.headers[i].name),
                arena_str(&r->arena, g->o.headers[i].value));
        mtx_unlock(&g->mu);
        if (broken) api_http_error(w, 500, S("Internal Server Error\n"));
        else if (!allowed) api_http_error(w, 429, S("Too Many Requests\n"));
        if (broken || !allowed) return HTTP_ANSWERED;
    }
    mtx_lock(&g->mu);
    bool open = !g->o.n_users;
    mtx_unlock(&g->mu);
    return open ? HTTP_PASS : check_user(g, r, w, may_wait);
}
