#include "head/mend.h"

#include "base/test.h"
#include "chunk/chunk.h"

enum { REF = 7, OTHER = 8 };

static struct head_lost chunk_of(bool late)
{
    return (struct head_lost){ .ref = REF,
        .mint = 100,
        .maxt = 200,
        .disk_ref = 1ull << 32 | 8,
        .n = 3,
        .enc = CHUNK_XOR,
        .late = late };
}

static void tell(struct head_mend *m, bool late, sref ref, int64_t t, double v)
{
    head_mend_samples(m, late, &(struct ref_sample){ ref, t, v, 0 }, 1);
}

/* What stands in its place, or nothing. */
static size_t made(struct head_mend *m, const struct head_lost *c, int64_t *mint, int64_t *maxt)
{
    const struct chunk_encoder *x = head_mend_get(m, c);
    EXPECT(x && x->chunks.n <= 1);
    if (!x->chunks.n) return 0;
    *mint = x->chunks.at[0].mint;
    *maxt = x->chunks.at[0].maxt;
    return chunk_count(x->chunks.at[0].enc, encoded_chunk_data(x, 0));
}

TEST(mend_takes_what_the_head_took)
{
    struct head_lost c = chunk_of(false);
    struct head_mend *m = head_mend_new();
    int64_t mint = 0, maxt = 0;
    EXPECT(!head_mend_wanted(m));
    EXPECT(!head_mend_get(m, &c));
    EXPECT(!head_mend_get(m, &c));             /* noted once */
    EXPECT(head_mend_wanted(m));
    tell(m, false, REF, 90, 1);
    tell(m, false, REF, 110, 2);
    tell(m, false, REF, 105, 3);               /* logged, and refused */
    tell(m, false, REF, 110, 4);
    tell(m, false, OTHER, 120, 5);
    tell(m, false, REF, 150, 6);
    tell(m, false, REF, 300, 7);
    tell(m, false, REF, 160, 8);               /* refused, too */
    head_mend_end(m);
    EXPECT(!head_mend_wanted(m));
    EXPECT_EQ(made(m, &c, &mint, &maxt), 2);
    EXPECT(mint == 110 && maxt == 150);
    struct head_mend_counts n = head_mend_counts(m);
    EXPECT(n.chunks == 1 && n.samples == 3 && n.found == 2);
    head_mend_free(m);
}

TEST(mend_takes_late_samples_by_their_marker)
{
    static const struct { const char *name; uint64_t marker; size_t n; } cases[] = {
        { "its marker", 1ull << 32 | 8, 3 },
        { "of another chunk", 1ull << 32 | 99, 0 },
    };
    TEST_EACH(c, cases) {
        struct head_lost lost = chunk_of(true);
        struct head_mend *m = head_mend_new();
        int64_t mint = 0, maxt = 0;
        EXPECT(!head_mend_get(m, &lost));
        tell(m, true, REF, 120, 0);            /* of the array before */
        head_mend_markers(m, &(struct ref_marker){ REF, 0 }, 1);
        tell(m, true, REF, 200, 1);
        tell(m, true, REF, 100, 2);
        tell(m, true, REF, 150, 3);
        tell(m, true, REF, 150, 4);            /* refused */
        head_mend_markers(m, &(struct ref_marker){ REF, c->marker }, 1);
        tell(m, true, REF, 130, 5);            /* of the array behind */
        head_mend_end(m);
        EXPECT_EQ(made(m, &lost, &mint, &maxt), c->n);
        if (c->n) EXPECT(mint == 100 && maxt == 200);
        EXPECT_EQ(head_mend_counts(m).found, c->n);
        head_mend_free(m);
    }
}
