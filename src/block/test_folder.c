#include "block/test_folder.h"

#include "base/test.h"
#include "base/ulid.h"
#include "block/block_writer.h"

str test_block_dir(struct fs *fs, struct arena *a)
{
    fs_entries all = { 0 };
    ulid id;
    str found = STR_EMPTY;
    EXPECT_OK(fs_list(fs, STR_EMPTY, a, &all, NULL));
    for (size_t i = 0; i < all.n && !found.n; i++)
        if (ulid_parse(all.at[i].name, &id)) found = all.at[i].name;
    vec_fini(&all);
    EXPECT(found.n > 0);
    return found;
}

str test_block_of_one(struct fs *fs, const struct block_meta *meta, const struct chunk_encoder *w,
    struct arena *a)
{
    static const struct label only = { S("l"), S("v") };
    struct chunk_view *views = arena_array(a, w->chunks.n, sizeof(*views));
    for (size_t i = 0; i < w->chunks.n; i++) {
        const struct encoded_chunk *c = &w->chunks.at[i];
        views[i] = (struct chunk_view){ c->mint, c->maxt, c->enc, encoded_chunk_data(w, i) };
    }
    struct chunk_series s = { { &only, 1 }, views, w->chunks.n, NULL };
    struct block_writer *writer;
    struct block_stats stats;
    struct err e = { 0 };
    struct block_writer_opts o = { .fs = fs, .meta = meta };
    EXPECT_OK_E(block_writer_begin(&writer, &o, &e), &e);
    EXPECT_OK_E(block_writer_symbol(writer, STR_EMPTY, &e), &e);
    EXPECT_OK_E(block_writer_symbol(writer, only.name, &e), &e);
    EXPECT_OK_E(block_writer_symbol(writer, only.value, &e), &e);
    EXPECT_OK_E(block_writer_series(writer, &s, &e), &e);
    EXPECT_OK_E(block_writer_finish(writer, &stats, &e), &e);
    return arena_fmt(a, "%s", ulid_text(meta->id).z);
}
