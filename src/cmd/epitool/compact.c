/* compact.c — `epitool tsdb compact`: blocks of a folder become one. */
#include "block/compact.h"
#include "cmd/epitool/cmd.h"
#include "cmd/epitool/progress_bar.h"
#include "cmd/epitool/tsdb_commands.h"

#include <stdio.h>

typedef VEC(struct block *) block_row;

/* By their times; as they are named where these are equal. */
static void insert(block_row *all, struct block *b)
{
    size_t i = all->n;
    vec_push(all, b);
    for (; i > 0 && block_meta(all->at[i - 1])->mint > block_meta(b)->mint; i--)
        all->at[i] = all->at[i - 1];
    all->at[i] = b;
}

static errc open_all(block_row *all, struct fs *fs, const str *names, size_t n, struct err *e)
{
    struct block_opts o = { .fs = fs, .backend = IO_AUTO };
    for (size_t i = 0; i < n; i++) {
        struct block *b = NULL;
        TRY(block_open(&b, &o, names[i], e));
        insert(all, b);
    }
    return OK;
}

static errc compact(struct fs *fs, const str *names, size_t n, ulid *made, struct err *e)
{
    block_row all = { 0 };
    struct progress_bar bar;
    struct compact_opts o = { .fs = fs, .progress = &bar.base };
    struct fs_lock *lock = NULL;
    bool existed = false;
    TRY(fs_lock_take(&lock, fs, S("lock"), &existed, e));
    progress_bar_begin(&bar);
    errc rc = open_all(&all, fs, names, n, e);
    if (rc == OK) rc = compact_blocks(&o, all.at, all.n, made, e);
    progress_bar_end(&bar);
    for (size_t i = 0; i < all.n; i++) block_unref(all.at[i]);
    vec_fini(&all);
    fs_lock_release(lock, !existed);           /* one that was there tells of an unclean end */
    return rc;
}

struct compact_args { str dir; str_list blocks; };
static const struct opt compact_opts[] = {
    { "dir", .help = "The data folder.", OPT_AT(struct compact_args, dir), &opt_str,
        .flags = OPT_ARG | OPT_REQUIRED },
    { "block", .help = "The blocks, by their ULIDs.", OPT_AT(struct compact_args, blocks),
        &opt_strs, .flags = OPT_ARG | OPT_REQUIRED },
};

int tsdb_compact_run(int argc, char **argv)
{
    struct compact_args a = { 0 };
    struct opts_run run = { 0 };
    struct fs *fs = NULL;
    struct err e = { 0 };
    ulid made = { 0 };
    int code = EXIT_FINE;
    if (tsdb_line(&a, compact_opts, ARRAY_LEN(compact_opts), "Merge blocks into one.", argc, argv,
            &run, &code)) {
        errc rc = tsdb_folder(&fs, a.dir, &e);
        if (rc == OK) rc = compact(fs, a.blocks.at, a.blocks.n, &made, &e);
        if (rc != OK) code = cmd_failed(rc, &e);
        else if (!ulid_is_zero(made)) printf("%s\n", ulid_text(made).z);
        fs_free(fs);
    }
    opts_fini(&run);
    return code;
}
