#include "config/cache_config.h"

#include "base/test.h"

TEST(cache_config_kinds)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct cache_config c;
    struct err e = { 0 };
    str memory = S("type: IN-MEMORY\nconfig: {max_size: 32MB}\n");
    EXPECT_OK_E(cache_config_parse(&c, memory, &a, &e), &e);
    EXPECT_EQ(c.kind, CACHE_IN_MEMORY);
    EXPECT_EQ(c.max_bytes, 32 << 20);
    EXPECT_OK_E(cache_config_parse(&c,
        S("type: memcached\nttl: 1h\nenabled_items: [Postings]\nconfig:\n"
          "  addresses: [dns+one:11211, '127.0.0.1:2']\n  timeout: 300ms\n"
          "  max_idle_connections: 7\n  max_async_concurrency: 3\n  max_async_buffer_size: 500\n"
          "  max_item_size: 2MiB\n  max_get_multi_batch_size: 100\n"
          "  set_async_circuit_breaker_config: {enabled: true, consecutive_failures: 9, "
          "open_duration: 3s, failure_percent: 0.05}\n"), &a, &e), &e);
    EXPECT_EQ(c.kind, CACHE_FAR);
    EXPECT_EQ(c.far.kind, FAR_MEMCACHED);
    EXPECT_EQ(c.far.n_addresses, 2);
    EXPECT_STR(c.far.addresses[0], S("one:11211"));
    EXPECT_STR(c.far.addresses[1], S("127.0.0.1:2"));
    EXPECT(c.far.timeout_ms == 300 && c.far.dial_ms == 300 && c.far.ttl_s == 3600);
    EXPECT(c.far.idle_max == 7 && c.far.putters == 3 && c.far.queue_max == 500);
    EXPECT(c.far.item_max_bytes == 2 << 20 && c.far.failures_max == 9 && c.far.pause_ms == 3000);
    EXPECT_OK_E(cache_config_parse(&c,
        S("type: REDIS\nchunk_subrange_ttl: 2h\nchunk_subrange_size: 16000\nconfig:\n"
          "  addr: 127.0.0.1:6379\n  username: u\n  password: p\n  db: 3\n"
          "  dial_timeout: 1s\n  read_timeout: 2s\n  write_timeout: 3s\n"), &a, &e), &e);
    EXPECT_EQ(c.far.kind, FAR_REDIS);
    EXPECT_STR(c.far.addresses[0], S("127.0.0.1:6379"));
    EXPECT_STR(c.far.username, S("u"));
    EXPECT_STR(c.far.password, S("p"));
    EXPECT(c.far.db == 3 && c.far.dial_ms == 1000 && c.far.timeout_ms == 2000);
    EXPECT_EQ(c.far.ttl_s, 7200);
}

TEST(cache_config_wrong)
{
    static const struct { const char *name; str text, words; } cases[] = {
        { "nothing", S("{}"), S("cache with type  is not supported") },
        { "another type", S("type: GROUPCACHE"), S("cache with type GROUPCACHE is not supported") },
        { "no addresses", S("type: MEMCACHED"),
            S("create MEMCACHED cache: no memcached addresses provided") },
        { "no address", S("type: REDIS\nconfig: {db: 1}"),
            S("create REDIS cache: no redis addr provided") },
        { "TLS", S("type: REDIS\nconfig: {addr: 'a:1', tls_enabled: true}"),
            S("create REDIS cache: tls_enabled is not served") },
        { "SRV", S("type: MEMCACHED\nconfig: {addresses: ['dnssrv+a']}"),
            S("create MEMCACHED cache: dnssrv+a: SRV records are not looked up") },
        { "a negative number", S("type: REDIS\nconfig: {addr: 'a:1', db: -1}"),
            S("create REDIS cache: db: -1 cannot be") },
    };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct cache_config out;
        struct err e = { 0 };
        EXPECT(cache_config_parse(&out, c->text, &a, &e) != OK);
        EXPECT_STR(err_str(&e), c->words);
    }
    SCOPED(arena_fini) struct arena a = { 0 };
    struct cache_config out;
    struct err e = { 0 };
    EXPECT(cache_config_parse(&out, S("type: REDIS\nconfig: {adr: x}"), &a, &e) != OK);
    EXPECT(str_find(err_str(&e), S("field adr not found")) != SIZE_MAX);
    EXPECT(cache_config_load(&out, "index-cache.config", S("a"), S("b"), &a, &e) == ERR_BAD_INPUT);
    EXPECT_OK(cache_config_load(&out, "index-cache.config", S(""), S(""), &a, &e));
    EXPECT_EQ(out.kind, CACHE_IN_MEMORY);
}
