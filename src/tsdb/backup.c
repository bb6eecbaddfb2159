#include "tsdb/backup.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/ulid.h"
#include "base/vec.h"
#include "block/meta.h"
#include "block/salvage.h"
#include "block/tombstones_codec.h"
#include "block/verify.h"
#include "head/chunk_disk.h"
#include "head/chunk_disk_files.h"
#include "tsdb/replaced.h"
#include "wal/wal_reader.h"

#define BUILD S("backup.tmp")
enum { TRIES_MAX = 20 };

/* The parts of a head, as folders; and the files of the root that belong to them. */
static const str parts[] = { S("wal"), S("wbl"), S("chunks_head") };
static const str notes[] = { S("blocks.reached"), S("late.reached"), REPLACED_FILE };

struct backup {
    const struct backup_opts *o;
    struct fs *fs;
    struct backup_counts *n;
    struct arena arena;
    replaced_list replaced;                    /* as the source says before its blocks are taken */
};

static str below(struct backup *b, str dir, str name) { return path_join(&b->arena, dir, name); }
static str in_target(struct backup *b, str name) { return below(b, b->o->to, name); }
static str in_source(struct backup *b, str name) { return below(b, b->o->from, name); }

static errc sync_dir(struct backup *b, str dir, struct err *e)
{
    return fault_dropped("backup.dir_fsync") ? OK : fs_sync_dir(b->fs, dir, e);
}

static errc sync_swap(struct backup *b, struct err *e)
{
    return fault_dropped("backup.swap_fsync") ? OK : fs_sync_dir(b->fs, b->o->to, e);
}

/* Files. */

static errc sync_file(struct backup *b, str path, struct err *e)
{
    struct file *f = NULL;
    if (fault_dropped("backup.file_fsync")) return OK;
    TRY(fs_open(&f, b->fs, path, FS_READ | FS_WRITE, e));
    errc rc = file_sync(f, e);
    file_close(f);
    return rc;
}

static errc copy(struct backup *b, str from, str to, struct err *e)
{
    struct fs_stat st;
    TRY(fs_copy(b->fs, from, to, e));
    TRY(fs_stat(b->fs, to, &st, e));
    b->n->files_copied++;
    b->n->bytes_copied += st.size_bytes;
    return OK;
}

/* A file that nobody writes to any more. */
static errc take(struct backup *b, str from, str to, struct err *e)
{
    struct err why = { 0 };
    errc rc = b->o->copy ? ERR_UNSUPPORTED : fs_link(b->fs, from, to, &why);
    if (rc == ERR_UNSUPPORTED) return copy(b, from, to, e);
    if (rc != OK) return err_set(e, rc, "%s", why.msg);
    b->n->files_linked++;
    return sync_file(b, to, e);                /* of a log its writer may still owe that */
}

/* The same, if the target had it in an earlier run: that one is taken. */
static errc take_known(struct backup *b, str from, str had, str to, struct err *e)
{
    struct fs_stat x, y;
    bool same = b->o->copy && fs_stat(b->fs, from, &x, NULL) == OK &&
                fs_stat(b->fs, had, &y, NULL) == OK && x.size_bytes == y.size_bytes;
    if (same && fs_link(b->fs, had, to, NULL) == OK) return OK;
    return take(b, from, to, e);
}

/* The head. */

/* A log's newest segment up to the end of its last whole record. */
static errc trim_segment(struct backup *b, str dir, uint32_t seg, struct err *e)
{
    struct wal_reader_opts ro = { .fs = b->fs, .dir = dir, .backend = IO_BUFFERED,
        .mode = WAL_SALVAGE, .first = seg, .last = seg };
    struct wal_reader *r = NULL;
    struct file *f = NULL;
    struct wal_rec rec;
    uint64_t end = 0;
    size_t n;
    bool got = true;
    TRY(wal_reader_open(&r, &ro, e));
    errc rc = OK;
    while (rc == OK && got) {
        rc = wal_reader_next(r, &rec, &got, e);
        if (rc == OK && got) end = rec.end;
    }
    const struct wal_corruption *bad = wal_reader_corruptions(r, &n);
    bool torn = n && bad[n - 1].tail;
    wal_reader_close(r);
    if (rc != OK || !torn) return rc;
    TRY(fs_open(&f, b->fs, wal_segment_path(&b->arena, dir, seg), FS_READ | FS_WRITE, e));
    rc = file_truncate(f, end, e);
    if (rc == OK && !fault_dropped("backup.file_fsync")) rc = file_sync(f, e);
    file_close(f);
    return rc;
}

/* The newest chunk file up to the end of its last whole chunk; one that has not begun goes. */
static errc trim_chunks(struct backup *b, str path, struct err *e)
{
    enum { FILE_MAX_BYTES = 1 << 30 };
    SCOPED(arena_fini) struct arena a = { 0 };
    str bytes;
    struct file *f = NULL;
    size_t at = CHUNK_FILE_HEADER_BYTES, next;
    struct chunk_desc c;
    TRY(fs_read_all(b->fs, path, &a, FILE_MAX_BYTES, &bytes, e));
    if (chunk_file_header_check(bytes, NULL) != OK) return fs_unlink(b->fs, path, e);
    while (at < bytes.n && chunk_record_next(bytes, at, &c, &next, NULL) == CHUNK_STEP_RECORD)
        at = next;
    if (at >= bytes.n) return OK;
    TRY(fs_open(&f, b->fs, path, FS_READ | FS_WRITE, e));
    errc rc = file_truncate(f, at, e);
    if (rc == OK && !fault_dropped("backup.file_fsync")) rc = file_sync(f, e);
    file_close(f);
    return rc;
}

static errc take_checkpoint(struct backup *b, str part, str name, str to, struct err *e)
{
    fs_entries all = { 0 };
    str from = below(b, in_source(b, part), name), had = below(b, in_target(b, part), name);
    str dir = below(b, to, name);
    TRY(fs_mkdir(b->fs, dir, e));
    errc rc = fs_list(b->fs, from, &b->arena, &all, e);
    for (size_t i = 0; rc == OK && i < all.n; i++)
        rc = take_known(b, below(b, from, all.at[i].name), below(b, had, all.at[i].name),
            below(b, dir, all.at[i].name), e);
    vec_fini(&all);
    return rc == OK ? sync_dir(b, dir, e) : rc;
}

static errc take_log(struct backup *b, str part, str to, struct err *e)
{
    SCOPED(wal_dir_fini) struct wal_dir d = { 0 };
    str from = in_source(b, part), had = in_target(b, part);
    TRY(wal_dir_list(&d, b->fs, from, e));
    for (size_t i = 0; i < d.segments.n; i++) {
        uint32_t seg = d.segments.at[i];
        str at = wal_segment_path(&b->arena, from, seg),
            copy_at = wal_segment_path(&b->arena, to, seg);
        progress_tell(b->o->progress, part, i, d.segments.n);
        if (i + 1 < d.segments.n)
            TRY(take_known(b, at, wal_segment_path(&b->arena, had, seg), copy_at, e));
        else TRY(copy(b, at, copy_at, e));
        if (i + 1 == d.segments.n) TRY(trim_segment(b, to, seg, e));
    }
    if (!d.has_checkpoint) return OK;
    str name = arena_fmt(&b->arena, "checkpoint.%08" PRIu32, d.checkpoint);
    return take_checkpoint(b, part, name, to, e);
}

static errc take_chunks(struct backup *b, str part, str to, struct err *e)
{
    chunk_file_numbers all = { 0 };
    str from = in_source(b, part), had = in_target(b, part);
    errc rc = chunk_files_list(&all, b->fs, from, e);
    for (size_t i = 0; rc == OK && i < all.n; i++) {
        str at = chunk_file_path(&b->arena, from, all.at[i]),
            copy_at = chunk_file_path(&b->arena, to, all.at[i]);
        progress_tell(b->o->progress, part, i, all.n);
        if (i + 1 < all.n)
            rc = take_known(b, at, chunk_file_path(&b->arena, had, all.at[i]), copy_at, e);
        else rc = copy(b, at, copy_at, e);
        if (rc == OK && i + 1 == all.n) rc = trim_chunks(b, copy_at, e);
    }
    vec_fini(&all);
    return rc;
}

static errc take_part(struct backup *b, str part, struct err *e)
{
    str to = below(b, in_target(b, BUILD), part);
    if (!fs_exists(b->fs, in_source(b, part))) return OK;
    TRY(fs_mkdir(b->fs, to, e));
    TRY(str_eq(part, S("chunks_head")) ? take_chunks(b, part, to, e) : take_log(b, part, to, e));
    return sync_dir(b, to, e);
}

static errc take_head_once(struct backup *b, struct err *e)
{
    str build = in_target(b, BUILD);
    TRY(fs_remove_tree(b->fs, build, e));
    TRY(fs_mkdir(b->fs, build, e));
    for (size_t i = 0; i < ARRAY_LEN(parts) && !b->o->data.n; i++)
        TRY(take_part(b, parts[i], e));
    for (size_t i = 0; i < ARRAY_LEN(notes) && !b->o->data.n; i++)
        if (fs_exists(b->fs, in_source(b, notes[i])))
            TRY(copy(b, in_source(b, notes[i]), below(b, build, notes[i]), e));
    return sync_dir(b, build, e);
}

/* Again when a file vanished on the way: a checkpoint was made, a file truncated away. */
static errc take_head(struct backup *b, struct err *e)
{
    struct err why = { 0 };
    errc rc = ERR_NOT_FOUND;
    for (unsigned i = 0; rc == ERR_NOT_FOUND && i < TRIES_MAX; i++) rc = take_head_once(b, &why);
    if (rc == ERR_NOT_FOUND) rc = ERR_TIMEOUT;
    return rc == OK ? OK : err_set(e, rc, "%s", why.msg);
}

/* Blocks. */

static errc take_tree(struct backup *b, str from, str to, struct err *e)
{
    fs_entries all = { 0 };
    TRY(fs_mkdir(b->fs, to, e));
    errc rc = fs_list(b->fs, from, &b->arena, &all, e);
    for (size_t i = 0; rc == OK && i < all.n; i++) {
        str x = below(b, from, all.at[i].name), y = below(b, to, all.at[i].name);
        if (str_has_suffix(all.at[i].name, S(".tmp"))) continue;
        rc = all.at[i].is_dir ? take_tree(b, x, y, e) : take(b, x, y, e);
    }
    vec_fini(&all);
    return rc == OK ? sync_dir(b, to, e) : rc;
}

static errc take_new_block(struct backup *b, str name, struct err *e)
{
    str to = in_target(b, name), tmp = arena_fmt(&b->arena, "%.*s.tmp-for-creation", STR_ARG(to));
    TRY(fs_remove_tree(b->fs, tmp, e));
    TRY(take_tree(b, in_source(b, name), tmp, e));
    TRY(fs_rename(b->fs, tmp, to, e));
    b->n->blocks_new++;
    return sync_swap(b, e);
}

static bool is_tombstones(str file, str block UNUSED, struct arena *a UNUSED)
{
    struct tombstones t = { 0 };
    errc rc = block_tombstones_decode(&t, file, NULL);
    tombstones_fini(&t);
    return rc == OK;
}

static bool is_meta(str file, str block, struct arena *a)
{
    struct block_meta m;
    return meta_decode(&m, file, a, NULL) == OK && str_eq(str_z(ulid_text(m.id).z), block);
}

/* What changes of a block: its deletions, and marks in its meta.json. Damage is not taken. */
static errc refresh_block(struct backup *b, str name, struct err *e)
{
    enum { FILE_MAX_BYTES = 1 << 30 };
    static const struct {
        str name;
        bool (*sound)(str file, str block, struct arena *a);
    } files[] = { { S("tombstones"), is_tombstones }, { S("meta.json"), is_meta } };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        str from = path_join(&a, in_source(b, name), files[i].name), is, was;
        str to = path_join(&a, in_target(b, name), files[i].name);
        if (!fs_exists(b->fs, from)) continue;
        TRY(fs_read_all(b->fs, from, &a, FILE_MAX_BYTES, &is, e));
        bool had = fs_read_all(b->fs, to, &a, FILE_MAX_BYTES, &was, NULL) == OK;
        if (had && (str_eq(is, was) || !files[i].sound(is, name, &a))) continue;
        TRY(fs_write_durable(b->fs, to, is, e));
    }
    return OK;
}

static bool is_block(struct backup *b, const struct fs_entry *x, str dir)
{
    ulid id;
    return x->is_dir && ulid_parse(x->name, &id) &&
           fs_exists(b->fs, below(b, below(b, dir, x->name), S("meta.json")));
}

static errc take_block(struct backup *b, str name, struct err *e)
{
    if (!fs_exists(b->fs, below(b, in_source(b, name), S("meta.json")))) return OK;
    b->n->blocks++;
    if (fs_exists(b->fs, in_target(b, name))) return refresh_block(b, name, e);
    return take_new_block(b, name, e);
}

/* *vanished: one that was there when the folder was listed is gone, compacted away or written anew:
 * its child may have come since. */
static errc take_blocks_once(struct backup *b, bool *vanished, struct err *e)
{
    fs_entries all = { 0 };
    ulid id;
    *vanished = false;
    b->n->blocks = 0;
    errc rc = fs_list(b->fs, b->o->from, &b->arena, &all, e);
    for (size_t i = 0; rc == OK && i < all.n; i++) {
        str name = all.at[i].name;
        struct err why = { 0 };
        progress_tell(b->o->progress, name, i, all.n);
        if (!all.at[i].is_dir || !ulid_parse(name, &id)) continue;
        rc = take_block(b, name, &why);
        bool gone = !fs_exists(b->fs, in_source(b, name));
        *vanished |= gone;
        if (rc == ERR_NOT_FOUND && gone) rc = OK;
        if (rc != OK) rc = err_set(e, rc, "%s", why.msg);
    }
    vec_fini(&all);
    return rc;
}

static errc take_blocks(struct backup *b, struct err *e)
{
    bool vanished = true;
    for (unsigned i = 0; vanished && i < TRIES_MAX; i++) TRY(take_blocks_once(b, &vanished, e));
    return vanished ? err_set(e, ERR_TIMEOUT, "the blocks change all the time") : OK;
}

/* What the head of the source was written to: each part takes its place. */

static errc swap_in(struct backup *b, str name, struct err *e)
{
    str fresh = below(b, in_target(b, BUILD), name), to = in_target(b, name),
        old = arena_fmt(&b->arena, "%.*s.old", STR_ARG(to));
    TRY(fs_remove_tree(b->fs, old, e));
    if (fs_exists(b->fs, to)) TRY(fs_rename(b->fs, to, old, e));
    if (fs_exists(b->fs, fresh)) TRY(fs_rename(b->fs, fresh, to, e));
    TRY(sync_swap(b, e));
    return fs_remove_tree(b->fs, old, e);
}

static errc swap_head(struct backup *b, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(notes); i++) TRY(swap_in(b, notes[i], e));
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) TRY(swap_in(b, parts[i], e));
    TRY(fs_remove_tree(b->fs, in_target(b, BUILD), e));
    return sync_swap(b, e);
}

/* Blocks of the target that another one there was made of, or that the source has replaced, or that
 * an earlier snapshot made of the head. What the source made after its blocks were taken is not
 * there, so what that was made of stays. */

#define HEADS S("backup.heads")

typedef VEC(struct block_meta) meta_list;

static errc target_metas(struct backup *b, meta_list *out, struct err *e)
{
    fs_entries all = { 0 };
    errc rc = fs_list(b->fs, b->o->to, &b->arena, &all, e);
    for (size_t i = 0; rc == OK && i < all.n; i++) {
        struct block_meta m;
        if (!is_block(b, &all.at[i], b->o->to)) continue;
        if (meta_read(&m, b->fs, in_target(b, all.at[i].name), &b->arena, NULL) == OK)
            vec_push(out, m);
    }
    vec_fini(&all);
    return rc;
}

/* Is y made of x, and perhaps of others? */
static bool made_of(const struct block_meta *y, const struct block_meta *x)
{
    for (size_t i = 0; i < y->n_parents; i++)
        if (ulid_eq(y->parents[i].id, x->id)) return true;
    return replaced_by(y, x);
}

static bool superseded(struct backup *b, const meta_list *target, const struct block_meta *x)
{
    bool made = false;
    for (size_t i = 0; i < target->n; i++) made |= made_of(&target->at[i], x);
    for (size_t i = 0; i < b->replaced.n; i++)
        made |= ulid_eq(b->replaced.at[i].id, x->id) || replaced_by(&b->replaced.at[i], x);
    return made;
}

static bool was_head(struct backup *b, str name)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    enum { HEADS_MAX_BYTES = 1 << 20 };
    str text;
    if (fs_read_all(b->fs, in_target(b, HEADS), &a, HEADS_MAX_BYTES, &text, NULL) != OK)
        return false;
    return str_find(text, name) != SIZE_MAX;
}

static errc drop_block(struct backup *b, str name, struct err *e)
{
    str dir = in_target(b, name),
        gone = arena_fmt(&b->arena, "%.*s.tmp-for-deletion", STR_ARG(dir));
    TRY(fs_remove_tree(b->fs, gone, e));
    TRY(fs_rename(b->fs, dir, gone, e));
    TRY(sync_swap(b, e));
    b->n->blocks_gone++;
    return fs_remove_tree(b->fs, gone, e);
}

/* Blocks of which the source has only what a repair could save, and that are whole here. They are
 * noted, for what tells of the repair may be removed there. */

#define KEPT S("backup.kept")

static errc read_kept(struct backup *b, str *text, struct err *e)
{
    enum { KEPT_MAX_BYTES = 1 << 20 };
    *text = STR_EMPTY;
    if (!fs_exists(b->fs, in_target(b, KEPT))) return OK;
    return fs_read_all(b->fs, in_target(b, KEPT), &b->arena, KEPT_MAX_BYTES, text, e);
}

/* A block of the target was made of it by a repair. */
static bool has_salvaged(const meta_list *target, ulid id)
{
    ulid origin;
    for (size_t i = 0; i < target->n; i++)
        if (salvage_origin(&target->at[i], &origin) && ulid_eq(origin, id)) return true;
    return false;
}

static bool was_repaired(struct backup *b, const meta_list *target, str name, ulid id)
{
    str data = b->o->data.n ? b->o->data : b->o->from;
    str left = arena_fmt(&b->arena, "%.*s.salvaged", STR_ARG(name));
    return has_salvaged(target, id) || fs_exists(b->fs, below(b, data, left));
}

static errc is_whole(struct backup *b, str name, bool *whole, struct err *e)
{
    struct block_verify_opts vo = { .fs = b->fs, .backend = IO_BUFFERED };
    struct block_verified v;
    struct findings f;
    findings_init(&f, 1);
    errc rc = block_verify(&v, &vo, in_target(b, name), &f, e);
    findings_fini(&f);
    *whole = rc == OK && !v.wrong;
    return rc;
}

static errc note_kept(struct backup *b, str kept, str name, struct err *e)
{
    str text = arena_fmt(&b->arena, "%.*s%.*s\n", STR_ARG(kept), STR_ARG(name));
    return fs_write_durable(b->fs, in_target(b, KEPT), text, e);
}

/* One that the source does not have. */
static errc drop_if_replaced(
    struct backup *b, const meta_list *target, const struct block_meta *x, struct err *e)
{
    str name = arena_fmt(&b->arena, "%s", ulid_text(x->id).z), kept;
    if (was_head(b, name)) return drop_block(b, name, e);
    TRY_IN(e, read_kept(b, &kept, e), "backup.kept");
    bool whole = str_find(kept, name) != SIZE_MAX;
    if (!whole && was_repaired(b, target, name, x->id)) {
        TRY(is_whole(b, name, &whole, e));
        if (whole) TRY(note_kept(b, kept, name, e));
    }
    b->n->blocks_kept += whole;
    bool replaced = superseded(b, target, x) || has_salvaged(target, x->id);
    return replaced && !whole ? drop_block(b, name, e) : OK;
}

static errc drop_blocks(struct backup *b, struct err *e)
{
    meta_list target = { 0 };
    errc rc = target_metas(b, &target, e);
    for (size_t i = 0; rc == OK && i < target.n; i++) {
        str name = arena_fmt(&b->arena, "%s", ulid_text(target.at[i].id).z);
        if (fs_exists(b->fs, in_source(b, name))) continue;
        rc = drop_if_replaced(b, &target, &target.at[i], e);
    }
    vec_fini(&target);
    return rc;
}

/* A snapshot's block of the head, which the data folder does not have, is another one each time:
 * what is noted goes at the next run. */
static errc note_heads(struct backup *b, struct err *e)
{
    SCOPED(buf_fini) struct buf text = { 0 };
    fs_entries all = { 0 };
    errc rc = fs_list(b->fs, b->o->from, &b->arena, &all, e);
    for (size_t i = 0; rc == OK && i < all.n; i++) {
        str name = all.at[i].name;
        bool head = is_block(b, &all.at[i], b->o->from) &&
                    !fs_exists(b->fs, below(b, b->o->data, name));
        if (head) buf_fmt(&text, "%.*s\n", STR_ARG(name));
    }
    vec_fini(&all);
    if (rc != OK) return rc;
    return fs_write_durable(b->fs, in_target(b, HEADS), buf_view(&text), e);
}

/* All of it. */

/* What a run that was interrupted left: a part without its successor comes back. */
static errc tidy(struct backup *b, struct err *e)
{
    fs_entries all = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(parts) + ARRAY_LEN(notes); i++) {
        str name = i < ARRAY_LEN(parts) ? parts[i] : notes[i - ARRAY_LEN(parts)];
        str to = in_target(b, name), old = arena_fmt(&b->arena, "%.*s.old", STR_ARG(to));
        if (fs_exists(b->fs, old) && !fs_exists(b->fs, to)) TRY(fs_rename(b->fs, old, to, e));
    }
    errc rc = fs_list(b->fs, b->o->to, &b->arena, &all, e);
    for (size_t i = 0; rc == OK && i < all.n; i++) {
        str name = all.at[i].name;
        if (str_has_suffix(name, S(".tmp-for-creation")) || str_has_suffix(name, S(".old")) ||
            str_has_suffix(name, S(".tmp-for-deletion")))
            rc = fs_remove_tree(b->fs, in_target(b, name), e);
    }
    vec_fini(&all);
    return rc == OK ? sync_swap(b, e) : rc;
}

static errc write_all(struct backup *b, struct err *e)
{
    str data = b->o->data.n ? b->o->data : b->o->from;
    TRY(tidy(b, e));
    TRY(replaced_read(&b->replaced, b->fs, below(b, data, REPLACED_FILE), &b->arena, e));
    TRY_IN(e, take_head(b, e), "head");
    TRY_IN(e, take_blocks(b, e), "blocks");
    TRY(swap_head(b, e));
    TRY(drop_blocks(b, e));
    if (b->o->data.n) return note_heads(b, e);
    if (!fs_exists(b->fs, in_target(b, HEADS))) return OK;
    TRY(fs_unlink(b->fs, in_target(b, HEADS), e));
    return sync_swap(b, e);
}

static errc make_target(struct backup *b, struct err *e)
{
    size_t slash = str_rindex(b->o->to, '/');
    str parent = slash == SIZE_MAX ? STR_EMPTY : str_slice(b->o->to, 0, slash);
    if (fs_exists(b->fs, b->o->to)) return OK;
    TRY(fs_mkdir(b->fs, b->o->to, e));
    return sync_dir(b, parent, e);
}

static bool is_within(str outer, str inner)
{
    return str_has_prefix(inner, outer) && (inner.n == outer.n || inner.p[outer.n] == '/');
}

errc backup_write(struct backup_counts *out, const struct backup_opts *o, struct err *e)
{
    struct backup b = { .o = o, .fs = o->fs, .n = out };
    struct fs_lock *lock = NULL;
    bool existed = false;
    *out = (struct backup_counts){ 0 };
    if (is_within(o->to, o->from) || is_within(o->to, o->data))
        return err_set(e, ERR_BAD_INPUT, "the target holds what is to be copied");
    if (!fs_exists(o->fs, o->from))
        return err_set(e, ERR_NOT_FOUND, "%.*s: no such folder", STR_ARG(o->from));
    TRY(make_target(&b, e));
    errc rc = fs_lock_take(&lock, o->fs, in_target(&b, S("lock")), &existed, e);
    if (rc == OK) rc = write_all(&b, e);
    fs_lock_release(lock, rc == OK || !existed);
    vec_fini(&b.replaced);
    arena_fini(&b.arena);
    return rc;
}
