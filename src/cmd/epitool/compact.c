#include "cmd/epitool/compact.h"

#include "block/compact.h"
#include "cmd/epitool/cmd.h"

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

static errc open_all(block_row *all, struct fs *fs, char **names, int n, struct err *e)
{
    struct block_opts o = { .fs = fs, .backend = IO_AUTO };
    for (int i = 0; i < n; i++) {
        struct block *b = NULL;
        TRY(block_open(&b, &o, str_z(names[i]), e));
        insert(all, b);
    }
    return OK;
}

static errc compact(struct fs *fs, char **names, int n, ulid *made, struct err *e)
{
    block_row all = { 0 };
    struct compact_opts o = { .fs = fs };
    struct fs_lock *lock = NULL;
    bool existed = false;
    TRY(fs_lock_take(&lock, fs, S("lock"), &existed, e));
    errc rc = open_all(&all, fs, names, n, e);
    if (rc == OK) rc = compact_blocks(&o, all.at, all.n, made, e);
    for (size_t i = 0; i < all.n; i++) block_unref(all.at[i]);
    vec_fini(&all);
    fs_lock_release(lock, !existed);           /* one that was there tells of an unclean end */
    return rc;
}

int compact_run(int argc, char **argv)
{
    if (argc < 3 || argv[1][0] == '-') return cmd_usage(&cmd_tsdb);
    struct fs *real = fs_real_new(str_z(argv[1]));
    struct err e = { 0 };
    ulid made = { 0 };
    errc rc = compact(real, argv + 2, argc - 2, &made, &e);
    fs_free(real);
    if (rc != OK) return cmd_failed(rc, &e);
    if (!ulid_eq(made, (ulid){ 0 })) printf("%s\n", ulid_text(made).z);
    return EXIT_FINE;
}
