/* numbered.c — see numbered.h */
#include "io/numbered.h"

#include "base/fault.h"
#include "base/log.h"

enum { NAME_TRIES = 1000, FOREIGN_DIGITS_MAX = 19 };

static void arena_finip(struct arena *a) { arena_fini(a); }
static void entries_finip(fs_entries *x) { vec_fini(x); }

static bool all_digits(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9') return false;
    return s.n > 0;
}

bool numbered_parse(str name, uint32_t *out)
{
    uint64_t n;
    if (name.n > NUMBERED_DIGITS_MAX || !all_digits(name) || !str_u64(name, &n)) return false;
    *out = (uint32_t)n;
    return true;
}

/* What Go's strconv.Atoi takes. */
static bool reads_as_number(str name)
{
    str digits = name.n && (name.p[0] == '+' || name.p[0] == '-') ? str_from(name, 1) : name;
    return all_digits(digits) && digits.n <= FOREIGN_DIGITS_MAX;
}

errc numbered_aside_name(str *out, struct arena *a, struct fs *fs, str dir, str name, struct err *e)
{
    str flat = arena_fmt(a, "%.*s.bad", STR_ARG(path_join(a, dir, name))), free_name = flat;
    for (size_t i = 0; i < flat.n; i++)
        if (flat.p[i] == '/') ((uint8_t *)(uintptr_t)flat.p)[i] = '.';
    for (int i = 1; fs_exists(fs, free_name); i++) {
        if (i == NAME_TRIES)
            return err_set(e, ERR_EXISTS, "too many things are set aside as %.*s", STR_ARG(flat));
        free_name = arena_fmt(a, "%.*s.%d", STR_ARG(flat), i);
    }
    *out = free_name;
    return OK;
}

errc numbered_set_aside(struct fs *fs, str dir, str name, const char *why, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    str to, from = path_join(&a, dir, name);
    TRY(numbered_aside_name(&to, &a, fs, dir, name, e));
    TRY(fs_rename(fs, from, to, e));
    LOG(WARN, "set aside", kv_str("path", from), kv_str("as", to), kv_z("why", why));
    return OK;
}

errc numbered_copy_aside(struct fs *fs, str dir, str name, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    str to;
    TRY(numbered_aside_name(&to, &a, fs, dir, name, e));
    str tmp = arena_fmt(&a, "%.*s.tmp", STR_ARG(to));
    TRY(fs_copy(fs, path_join(&a, dir, name), tmp, e));
    TRY(fs_rename(fs, tmp, to, e));
    return fault_dropped("numbered.copy_dir_fsync") ? OK : fs_sync_dir(fs, STR_EMPTY, e);
}

errc numbered_tidy_copies(struct fs *fs, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    SCOPED(entries_finip) fs_entries all = { 0 };
    TRY(fs_list(fs, STR_EMPTY, &a, &all, e));
    for (size_t i = 0; i < all.n; i++) {
        str name = all.at[i].name;
        bool torn = str_has_suffix(name, S(".tmp")) && str_find(name, S(".bad.")) != SIZE_MAX;
        if (torn && !all.at[i].is_dir) TRY(fs_unlink(fs, name, e));
    }
    return OK;
}

errc numbered_sync(struct fs *fs, str dir, struct err *e)
{
    if (fault_dropped("numbered.dir_fsync")) return OK;
    TRY(fs_sync_dir(fs, STR_EMPTY, e));
    return fs_sync_dir(fs, dir, e);
}

/* One name that reads as a number; *moved if it had to go. */
static errc settle_one(
    struct fs *fs, str dir, int width, const struct fs_entry *x, bool *moved, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    uint32_t n;
    *moved = true;
    if (x->is_dir)
        return numbered_set_aside(fs, dir, x->name, "a folder with the name of a file", e);
    if (!fs_exists(fs, path_join(&a, dir, x->name)))
        return numbered_set_aside(fs, dir, x->name, "a link to nothing", e);
    if (!numbered_parse(x->name, &n))
        return numbered_set_aside(fs, dir, x->name, "a number that no file has", e);
    str right = arena_fmt(&a, "%0*" PRIu32, width, n), to = path_join(&a, dir, right);
    if (str_eq(x->name, right)) {
        *moved = false;
        return OK;
    }
    if (fs_exists(fs, to))
        return numbered_set_aside(fs, dir, x->name, "the number is there twice", e);
    LOG(WARN, "a number is written as it should be", kv_str("dir", dir), kv_str("was", x->name),
        kv_str("is", right));
    return fs_rename(fs, path_join(&a, dir, x->name), to, e);
}

errc numbered_want_folder(struct fs *fs, str dir, str name, uint32_t *moved, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    str path = path_join(&a, dir, name);
    if (!fs_exists(fs, path) || fs_is_dir(fs, path)) return OK;
    TRY(numbered_set_aside(fs, dir, name, "a file with the name of a folder", e));
    ++*moved;
    return numbered_sync(fs, dir, e);
}

/* Folders first, so that a file may take the name that a folder had; then the files, of which the
 * right names win. */
errc numbered_settle(struct fs *fs, str dir, int width, uint32_t *moved, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    SCOPED(entries_finip) fs_entries all = { 0 };
    uint32_t n = 0;
    *moved = 0;
    if (!fs_exists(fs, dir)) return OK;
    TRY(fs_list(fs, dir, &a, &all, e));
    for (int folders = 1; folders >= 0; folders--) {
        for (size_t i = 0; i < all.n; i++) {
            bool one = false;
            if (all.at[i].is_dir != (folders == 1) || !reads_as_number(all.at[i].name)) continue;
            TRY_IN(e, settle_one(fs, dir, width, &all.at[i], &one, e), "%.*s", STR_ARG(dir));
            n += one;
        }
    }
    if (n) TRY(numbered_sync(fs, dir, e));
    *moved = n;
    return OK;
}
