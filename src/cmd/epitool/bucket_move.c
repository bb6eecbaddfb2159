/* bucket_move.c — `epitool bucket download`, `upload` and `mark`. */
#include "base/clock.h"
#include "block/block.h"
#include "block/meta.h"
#include "bucket/plain_block.h"
#include "cmd/epitool/bucket_commands.h"
#include "cmd/epitool/cmd.h"
#include "cmd/epitool/progress_bar.h"

/* ---- download */

struct move_args {
    struct bucket_where where;
    str dir;
    str_list labels, blocks;
};
static const struct opt download_opts[] = {
    BUCKET_WHERE_OPTS,
    { "dir", "DIR", "The data folder.", OPT_AT(struct move_args, dir), &opt_str, .def = "data/" },
    { "block", .help = "Blocks.", OPT_AT(struct move_args, blocks), &opt_strs,
        .flags = OPT_ARG | OPT_REQUIRED },
};

static errc download(const struct move_args *a, struct err *e)
{
    SCOPED(bucket_closep) struct bucket *b = NULL;
    ulid_list ids = { 0 };
    struct progress_bar bar;
    TRY(bucket_where_open(&b, &a->where, e));
    struct fs *fs = fs_real_new(a->dir);
    errc rc = bucket_ids(&a->blocks, &ids, e);
    if (rc == OK) rc = fs_mkdir(fs, STR_EMPTY, e);
    progress_bar_begin(&bar);
    for (size_t i = 0; rc == OK && i < ids.n; i++) {
        rc = remote_block_download(b, ids.at[i], fs, STR_EMPTY, &bar.base, e);
        if (rc == OK) printf("%s\n", ulid_text(ids.at[i]).z);
    }
    progress_bar_end(&bar);
    vec_fini(&ids);
    fs_free(fs);
    return rc;
}

int bucket_download_run(int argc, char **argv)
{
    struct move_args a = { 0 };
    struct opts_run run = { 0 };
    struct err e = { 0 };
    int code;
    if (cmd_line(&a, download_opts, ARRAY_LEN(download_opts), "bucket",
            "Fetch blocks into a data folder.", argc, argv, &run, &code)) {
        errc rc = download(&a, &e);
        if (rc != OK) code = cmd_failed(rc, &e);
    }
    opts_fini(&run);
    return code;
}

/* ---- upload */

static const struct opt upload_opts[] = {
    BUCKET_WHERE_OPTS,
    { "dir", "DIR", "The data folder.", OPT_AT(struct move_args, dir), &opt_str, .def = "data/" },
    { "label", "NAME=VALUE", "An external label of the blocks; at least one.",
        OPT_AT(struct move_args, labels), &opt_strs },
    { "block", .help = "Blocks; none: all of the folder.", OPT_AT(struct move_args, blocks),
        &opt_strs, .flags = OPT_ARG },
};

/* a=b, a="b" */
static errc labels_of(const str_list *words, struct arena *a, struct labels *out, struct err *e)
{
    struct labels_builder lb;
    labels_builder_init(&lb, a);
    for (size_t i = 0; i < words->n; i++) {
        str name, value;
        bool good = str_cut(words->at[i], '=', &name, &value) && label_name_valid_utf8(name);
        if (good && value.n > 1 && value.p[0] == '"' && value.p[value.n - 1] == '"')
            value = str_slice(value, 1, value.n - 1);
        if (!good || !value.n)
            return err_set(
                e, ERR_BAD_INPUT, "'%.*s' is no label: NAME=VALUE", STR_ARG(words->at[i]));
        labels_builder_set(&lb, name, value);
    }
    *out = labels_builder_done(&lb);
    if (out->n) return OK;
    return err_set(e, ERR_BAD_INPUT, "empty external labels are not allowed for Thanos block.");
}

static errc folder_blocks(struct fs *fs, ulid_list *out, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    errc rc = fs_list(fs, STR_EMPTY, &a, &all, e);
    for (size_t i = 0; rc == OK && i < all.n; i++) {
        ulid id;
        if (all.at[i].is_dir && ulid_parse(all.at[i].name, &id)) vec_push(out, id);
    }
    vec_fini(&all);
    return rc;
}

static errc plain_check(struct fs *fs, ulid id, struct err *e)
{
    SCOPED(block_unrefp) struct block *b = NULL;
    struct block_opts o = { .fs = fs, .backend = IO_AUTO };
    struct ulid_text name = ulid_text(id);
    bool plain;
    TRY(block_open(&b, &o, str_z(name.z), e));
    TRY(plain_block_check(b, &plain, e));
    if (plain) return OK;
    return err_set(e, ERR_UNSUPPORTED,
        "its chunks hold start timestamps, which Thanos does not read; the server ships it "
        "without them");
}

static errc upload_one(struct bucket *b, struct fs *fs, ulid id, struct labels labels,
    const struct progress *p, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct block_meta m;
    bool there;
    str dir = arena_fmt(&a, "%s", ulid_text(id).z);
    struct remote_upload u = { .fs = fs,
        .dir = dir,
        .meta = &m,
        .labels = labels,
        .source = S("bucket.upload"),
        .progress = p };
    TRY(meta_read(&m, fs, dir, &a, e));
    TRY(bucket_exists(b, arena_fmt(&a, "%.*s/meta.json", STR_ARG(dir)), &there, e));
    if (there) {
        printf("%.*s\tis there already\n", STR_ARG(dir));
        return OK;
    }
    TRY(plain_check(fs, id, e));
    TRY(remote_block_upload(b, &u, e));
    printf("%.*s\tuploaded\n", STR_ARG(dir));
    return OK;
}

static errc upload(const struct move_args *a, struct err *e)
{
    SCOPED(bucket_closep) struct bucket *b = NULL;
    SCOPED(arena_fini) struct arena mem = { 0 };
    ulid_list ids = { 0 };
    struct progress_bar bar;
    struct labels labels;
    TRY(labels_of(&a->labels, &mem, &labels, e));
    TRY(bucket_where_open(&b, &a->where, e));
    struct fs *fs = fs_real_new(a->dir);
    errc rc = a->blocks.n ? bucket_ids(&a->blocks, &ids, e) : folder_blocks(fs, &ids, e);
    progress_bar_begin(&bar);
    for (size_t i = 0; rc == OK && i < ids.n; i++) {
        rc = upload_one(b, fs, ids.at[i], labels, &bar.base, e);
        if (rc != OK) rc = err_in(e, rc, "block %s", ulid_text(ids.at[i]).z);
    }
    progress_bar_end(&bar);
    vec_fini(&ids);
    fs_free(fs);
    return rc;
}

int bucket_upload_run(int argc, char **argv)
{
    struct move_args a = { 0 };
    struct opts_run run = { 0 };
    struct err e = { 0 };
    int code;
    if (cmd_line(&a, upload_opts, ARRAY_LEN(upload_opts), "bucket",
            "Bring blocks of a data folder into a bucket, meta.json last.", argc, argv, &run,
            &code)) {
        errc rc = upload(&a, &e);
        if (rc != OK) code = cmd_failed(rc, &e);
    }
    opts_fini(&run);
    return code;
}

/* ---- mark */

struct mark_args {
    struct bucket_where where;
    int marker;
    str details;
    bool remove;
    str_list blocks;
};
static const char *const markers[] = { "deletion-mark.json", "no-compact-mark.json",
    "no-downsample-mark.json", NULL };
static const struct opt mark_opts[] = {
    BUCKET_WHERE_OPTS,
    { "marker", "FILE", "deletion-mark.json, no-compact-mark.json or no-downsample-mark.json.",
        OPT_AT(struct mark_args, marker), &opt_choice, .choices = markers, .flags = OPT_REQUIRED },
    { "details", "WORDS", "Why: kept in the mark.", OPT_AT(struct mark_args, details), &opt_str },
    { "remove", .help = "Take the mark away.", OPT_AT(struct mark_args, remove), &opt_bool },
    { "block", .help = "Blocks.", OPT_AT(struct mark_args, blocks), &opt_strs,
        .flags = OPT_ARG | OPT_REQUIRED },
};

static errc mark_one(struct bucket *b, const struct mark_args *a, ulid id, struct err *e)
{
    SCOPED(arena_fini) struct arena mem = { 0 };
    struct block_mark m = { .kind = (enum block_mark_kind)a->marker,
        .id = id,
        .time_s = clock_wall_ms() / 1000,
        .details = a->details,
        .reason = S("manual") };
    bool marked = false;
    if (a->remove) {
        str object = arena_fmt(&mem, "%s/%s", ulid_text(id).z, markers[a->marker]);
        TRY(bucket_remove(b, object, e));
        printf("%s\tmark removed\n", ulid_text(id).z);
        return OK;
    }
    TRY(remote_block_mark(b, &m, &marked, e));
    printf("%s\t%s\n", ulid_text(id).z, marked ? "marked" : "is marked already");
    return OK;
}

static errc mark(const struct mark_args *a, struct err *e)
{
    SCOPED(bucket_closep) struct bucket *b = NULL;
    ulid_list ids = { 0 };
    TRY(bucket_where_open(&b, &a->where, e));
    errc rc = bucket_ids(&a->blocks, &ids, e);
    for (size_t i = 0; rc == OK && i < ids.n; i++) rc = mark_one(b, a, ids.at[i], e);
    vec_fini(&ids);
    return rc;
}

int bucket_mark_run(int argc, char **argv)
{
    struct mark_args a = { 0 };
    struct opts_run run = { 0 };
    struct err e = { 0 };
    int code;
    if (cmd_line(&a, mark_opts, ARRAY_LEN(mark_opts), "bucket",
            "Mark blocks of a bucket, or take marks away.", argc, argv, &run, &code)) {
        errc rc = mark(&a, &e);
        if (rc != OK) code = cmd_failed(rc, &e);
    }
    opts_fini(&run);
    return code;
}
