#include "config/cache_config.h"

#include "config/typed.h"

/* ---- the tables */

static const struct field breaker_fields[] = {
    { .name = "enabled", .kind = F_BOOL },
    { .name = "half_open_max_requests", .kind = F_INT },
    { .name = "open_duration", .kind = F_DURATION },
    { .name = "min_requests", .kind = F_INT },
    { .name = "consecutive_failures", .kind = F_INT },
    { .name = "failure_percent", .kind = F_FLOAT },
};
static const struct section breaker = { .name = "cacheutil.CircuitBreakerConfig",
    FIELDS_OF(breaker_fields) };
static const struct field memory_fields[] = {
    { .name = "max_size", .kind = F_SIZE },
    { .name = "max_item_size", .kind = F_SIZE },
};
static const struct section memory = { .name = "storecache.InMemoryIndexCacheConfig",
    FIELDS_OF(memory_fields) };
static const struct field memcached_fields[] = {
    { .name = "addresses", .kind = F_STRS },
    { .name = "timeout", .kind = F_DURATION },
    { .name = "max_idle_connections", .kind = F_INT },
    { .name = "max_async_concurrency", .kind = F_INT },
    { .name = "max_async_buffer_size", .kind = F_INT },
    { .name = "max_get_multi_concurrency", .kind = F_INT },
    { .name = "max_item_size", .kind = F_SIZE, .def = "1MiB" },
    { .name = "max_get_multi_batch_size", .kind = F_INT },
    { .name = "dns_provider_update_interval", .kind = F_DURATION },
    { .name = "auto_discovery", .kind = F_BOOL },
    { .name = "set_async_circuit_breaker_config", .kind = F_SECTION, .sub = &breaker },
};
static const struct section memcached = { .name = "cacheutil.MemcachedClientConfig",
    FIELDS_OF(memcached_fields) };
static const struct field tls_fields[] = {
    { .name = "ca_file", .kind = F_STR },
    { .name = "cert_file", .kind = F_STR },
    { .name = "key_file", .kind = F_STR },
    { .name = "server_name", .kind = F_STR },
    { .name = "insecure_skip_verify", .kind = F_BOOL },
};
static const struct section tls = { .name = "cacheutil.TLSConfig", FIELDS_OF(tls_fields) };
static const struct field redis_fields[] = {
    { .name = "addr", .kind = F_STR },
    { .name = "username", .kind = F_STR },
    { .name = "password", .kind = F_STR },
    { .name = "db", .kind = F_INT },
    { .name = "dial_timeout", .kind = F_DURATION },
    { .name = "read_timeout", .kind = F_DURATION },
    { .name = "write_timeout", .kind = F_DURATION },
    { .name = "max_get_multi_concurrency", .kind = F_INT },
    { .name = "get_multi_batch_size", .kind = F_INT },
    { .name = "max_set_multi_concurrency", .kind = F_INT },
    { .name = "set_multi_batch_size", .kind = F_INT },
    { .name = "tls_enabled", .kind = F_BOOL },
    { .name = "tls_config", .kind = F_SECTION, .sub = &tls },
    { .name = "cache_size", .kind = F_SIZE },
    { .name = "master_name", .kind = F_STR },
    { .name = "max_async_buffer_size", .kind = F_INT },
    { .name = "max_async_concurrency", .kind = F_INT },
    { .name = "set_async_circuit_breaker_config", .kind = F_SECTION, .sub = &breaker },
};
static const struct section redis = { .name = "cacheutil.RedisClientConfig",
    FIELDS_OF(redis_fields) };
/* The fields of both: an index cache, and a caching bucket. */
static const struct field root_fields[] = {
    { .name = "type", .kind = F_STR },
    { .name = "enabled_items", .kind = F_STRS },
    { .name = "ttl", .kind = F_DURATION },
    { .name = "chunk_subrange_size", .kind = F_INT },
    { .name = "max_chunks_get_range_requests", .kind = F_INT },
    { .name = "metafile_max_size", .kind = F_SIZE },
    { .name = "chunk_object_attrs_ttl", .kind = F_DURATION },
    { .name = "chunk_subrange_ttl", .kind = F_DURATION },
    { .name = "blocks_iter_ttl", .kind = F_DURATION },
    { .name = "metafile_exists_ttl", .kind = F_DURATION },
    { .name = "metafile_doesnt_exist_ttl", .kind = F_DURATION },
    { .name = "metafile_content_ttl", .kind = F_DURATION },
};
static const struct section root = { .name = "storecache.IndexCacheConfig",
    FIELDS_OF(root_fields) };

/* ---- from values to settings */

static errc memory_of(void *into, const struct value *v, struct arena *a, struct err *e)
{
    struct cache_config *out = into;
    (void)a, (void)e;
    out->kind = CACHE_IN_MEMORY;
    out->max_bytes = value_int(v, "max_size");
    return OK;
}

static errc number_of(int64_t *out, const struct value *v, const char *name, struct err *e)
{
    int64_t n = value_int(v, name);
    if (n < 0 || n > INT32_MAX)
        return err_set(e, ERR_BAD_INPUT, "%s: %" PRId64 " cannot be", name, n);
    *out = n;
    return OK;
}

/* What is alike for both. */
static errc far_of(struct far_cache_opts *f, const struct value *v, struct err *e)
{
    const struct value *b = value_field(v, "set_async_circuit_breaker_config");
    int64_t putters, queue, failures;
    TRY(number_of(&putters, v, "max_async_concurrency", e));
    TRY(number_of(&queue, v, "max_async_buffer_size", e));
    TRY(number_of(&failures, b, "consecutive_failures", e));
    f->putters = (unsigned)MIN(putters, 64);
    f->queue_max = (size_t)queue;
    f->failures_max = (unsigned)failures;
    f->pause_ms = value_int(b, "open_duration");
    return OK;
}

static errc address_of(str *out, str text, struct err *e)
{
    if (str_has_prefix(text, S("dnssrv")))
        return err_set(e, ERR_UNSUPPORTED, "%.*s: SRV records are not looked up", STR_ARG(text));
    *out = str_has_prefix(text, S("dns+")) ? str_from(text, 4) : text;
    return OK;
}

static errc memcached_of(void *into, const struct value *v, struct arena *a, struct err *e)
{
    struct cache_config *out = into;
    struct far_cache_opts *f = &out->far;
    const struct value *addresses = value_field(v, "addresses");
    int64_t idle;
    if (!addresses->n) return err_set(e, ERR_BAD_INPUT, "no memcached addresses provided");
    if (value_bool(v, "auto_discovery"))
        return err_set(e, ERR_UNSUPPORTED, "auto_discovery is not served");
    TRY(far_of(f, v, e));
    TRY(number_of(&idle, v, "max_idle_connections", e));
    str *at = arena_array(a, addresses->n, sizeof(*at));
    for (size_t i = 0; i < addresses->n; i++) TRY(address_of(&at[i], addresses->strs[i], e));
    f->kind = FAR_MEMCACHED;
    f->addresses = at;
    f->n_addresses = addresses->n;
    f->dial_ms = f->timeout_ms = value_int(v, "timeout");
    f->idle_max = (size_t)idle;
    f->item_max_bytes = (size_t)value_int(v, "max_item_size");
    return OK;
}

static errc redis_of(void *into, const struct value *v, struct arena *a, struct err *e)
{
    struct cache_config *out = into;
    struct far_cache_opts *f = &out->far;
    str *at = arena_array(a, 1, sizeof(*at));
    if (!value_str(v, "addr").n) return err_set(e, ERR_BAD_INPUT, "no redis addr provided");
    if (value_bool(v, "tls_enabled"))
        return err_set(e, ERR_UNSUPPORTED, "tls_enabled is not served");
    if (value_str(v, "master_name").n)
        return err_set(e, ERR_UNSUPPORTED, "master_name is not served");
    TRY(far_of(f, v, e));
    TRY(number_of(&f->db, v, "db", e));
    TRY(address_of(at, value_str(v, "addr"), e));
    f->kind = FAR_REDIS;
    f->addresses = at;
    f->n_addresses = 1;
    f->username = value_str(v, "username");
    f->password = value_str(v, "password");
    f->dial_ms = value_int(v, "dial_timeout");
    f->timeout_ms = value_int(v, "read_timeout");
    return OK;
}

static const struct typed_kind kinds[] = {
    { S("IN-MEMORY"), &memory, memory_of },
    { S("MEMCACHED"), &memcached, memcached_of },
    { S("REDIS"), &redis, redis_of },
};
static const struct typed caches = { "cache", "cache", &root, kinds, ARRAY_LEN(kinds) };

errc cache_config_parse(struct cache_config *out, str text, struct arena *a, struct err *e)
{
    struct cache_config c = { .kind = CACHE_FAR };
    const struct value *v;
    TRY(typed_parse(&c, &caches, text, &v, a, e));
    c.far.ttl_s = MAX(value_int(v, "ttl"), value_int(v, "chunk_subrange_ttl")) / 1000;
    *out = c;
    return OK;
}

errc cache_config_load(struct cache_config *out, const char *flag, str text, str path,
    struct arena *a, struct err *e)
{
    *out = (struct cache_config){ .kind = CACHE_IN_MEMORY };
    TRY(typed_text(&text, flag, text, path, a, e));
    return text.n ? cache_config_parse(out, text, a, e) : OK;
}
