#include "base/mem.h"
#include "base/pb_put.h"
#include "base/test.h"
#include "ingest/remote_write.h"

#include <stdio.h>

static void put_label(struct buf *series, const char *name, const char *value)
{
    struct buf l = { 0 };
    pb_put_bytes(&l, 1, str_z(name));
    pb_put_bytes(&l, 2, str_z(value));
    pb_put_bytes(series, 1, buf_view(&l));
    buf_fini(&l);
}

static void put_sample(struct buf *series, double v, int64_t t)
{
    struct buf s = { 0 };
    uint64_t bits;
    memcpy(&bits, &v, 8);
    buf_u8(&s, 1 << 3 | 1);
    buf_le64(&s, bits);
    buf_u8(&s, 2 << 3);
    buf_uvarint(&s, (uint64_t)t);
    pb_put_bytes(series, 2, buf_view(&s));
    buf_fini(&s);
}

/* What a request with one series says of it. */
struct one {
    size_t series, samples;
    enum write_fault labels;
    char text[128];
    int64_t t_last;
    bool raw;
};

static errc read_one(str body, struct one *out)
{
    *out = (struct one){ 0 };
    struct write_request r;
    write_request_init(&r, body);
    struct arena a = { 0 };
    errc rc;
    bool more;
    struct write_series s;
    while ((rc = write_request_next(&r, &s, &more, NULL)) == OK && more) {
        out->series++;
        out->raw = s.labels_raw.n > 0;
        struct write_labels got = write_series_labels(&s, &a);
        struct labels l = got.kept;
        out->labels = got.fault;
        size_t n = 0;
        for (size_t i = 0; i < l.n && n < sizeof(out->text); i++)
            n += (size_t)snprintf(out->text + n, sizeof(out->text) - n, "%.*s=%.*s;",
                STR_ARG(l.at[i].name), STR_ARG(l.at[i].value));
        double v;
        while (write_series_sample(&s, &out->t_last, &v)) out->samples++;
        EXPECT_EQ(out->samples, s.n_samples);
    }
    arena_fini(&a);
    if (rc != OK) return rc;
    struct write_request again;
    write_request_again(&again, body);
    size_t series = 0, samples = 0;
    int64_t t = 0;
    double v;
    for (; write_request_next(&again, &s, &more, NULL) == OK && more; series++) {
        EXPECT_EQ(s.labels_raw.n > 0, out->raw);
        while (write_series_sample(&s, &t, &v)) samples++;
    }
    EXPECT(series == out->series && samples == out->samples && t == out->t_last);
    return rc;
}

TEST(remote_write_labels)
{
    static const struct {
        const char *name;
        const char *pairs[8];
        enum write_fault want;
        const char *text;
    } cases[] = {
        { "sorted", { "__name__", "m", "a", "1" }, WRITE_FINE, "__name__=m;a=1;" },
        { "unsorted", { "z", "1", "__name__", "m", "a", "2" }, WRITE_FINE, "__name__=m;a=2;z=1;" },
        { "no name", { "x", "a" }, WRITE_INVALID, "" },
        { "none", { NULL }, WRITE_INVALID, "" },
        { "empty label name", { "__name__", "m", "", "v" }, WRITE_INVALID, "" },
        { "empty value", { "__name__", "m", "e", "" }, WRITE_FINE, "__name__=m;" },
        { "twice", { "__name__", "m", "a", "1", "a", "2" }, WRITE_TWICE, "" },
        { "UTF-8 name", { "__name__", "m.\xc3\xbc", "l.x", "y" }, WRITE_FINE,
            "__name__=m.\xc3\xbc;l.x=y;" },
        { "value not UTF-8", { "__name__", "m", "x", "\xff" }, WRITE_INVALID, "" },
        { "name not UTF-8", { "__name__", "m\xff" }, WRITE_INVALID, "" },
    };
    TEST_EACH(c, cases) {
        struct buf series = { 0 }, body = { 0 };
        for (size_t i = 0; i < 8 && c->pairs[i]; i += 2)
            put_label(&series, c->pairs[i], c->pairs[i + 1]);
        put_sample(&series, 1.5, 1704067200000);
        put_sample(&series, 2.5, -7);
        pb_put_bytes(&body, 1, buf_view(&series));
        struct one got;
        EXPECT_OK(read_one(buf_view(&body), &got));
        EXPECT_EQ(got.series, 1);
        EXPECT_EQ(got.samples, 2);
        EXPECT_EQ(got.t_last, -7);
        EXPECT_EQ(got.labels, c->want);
        EXPECT_STR(str_z(got.text), str_z(c->text));
        buf_fini(&series);
        buf_fini(&body);
    }
}

TEST(remote_write_prefixes_and_odd_fields)
{
    struct buf series = { 0 }, body = { 0 };
    put_label(&series, "__name__", "m");
    put_sample(&series, 1, 1);
    put_label(&series, "a", "b");      /* labels torn apart by a sample */
    buf_u8(&series, 9 << 3 | 3);       /* an unknown group with a varint in it */
    buf_u8(&series, 1 << 3);
    buf_u8(&series, 5);
    buf_u8(&series, 9 << 3 | 4);
    put_sample(&series, 2, 2);
    pb_put_bytes(&body, 3, S("\x08\x01"));
    pb_put_bytes(&body, 1, buf_view(&series));
    struct one got;
    EXPECT_OK(read_one(buf_view(&body), &got));
    EXPECT(!got.raw);
    EXPECT_EQ(got.samples, 2);
    EXPECT_STR(str_z(got.text), S("__name__=m;a=b;"));
    for (size_t n = 0; n < body.n; n++) {
        uint8_t *exact = mem_alloc(n);
        if (n) memcpy(exact, body.p, n);
        errc rc = read_one(str_of(exact, n), &got);
        EXPECT(rc == ERR_BAD_INPUT || (rc == OK && (n == 0 || n == 4)));
        mem_free(exact);
    }
    struct prng r = { test_seed() };
    for (size_t i = 0; i < 20000; i++) {
        uint8_t *p = &body.p[prng_below(&r, body.n)], was = *p;
        *p ^= (uint8_t)(1u << prng_below(&r, 8));
        errc rc = read_one(buf_view(&body), &got);
        EXPECT(rc == OK || rc == ERR_BAD_INPUT);
        *p = was;
    }
    buf_fini(&series);
    buf_fini(&body);
}
