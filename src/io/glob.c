#include "io/glob.h"

#include "base/path.h"
#include "io/fs.h"

enum { DEPTH_MAX = 64 };

/* What fits in one folder. */
static void glob_folder(str dir, str pattern, struct arena *a, str_list *out)
{
    struct fs *fs = fs_real_new(dir);
    fs_entries all = { 0 };
    if (fs_list(fs, S(""), a, &all, NULL) == OK)
        for (size_t i = 0; i < all.n; i++)
            if (path_match(pattern, all.at[i].name, NULL))
                avec_push(a, out, path_in(a, dir, all.at[i].name));
    vec_fini(&all);
    fs_free(fs);
}

static void glob_level(str pattern, unsigned depth, struct arena *a, str_list *out)
{
    if (!path_has_glob(pattern)) {
        str name;
        struct fs *fs = fs_real_of(pattern, &name);
        if (fs_exists(fs, name)) avec_push(a, out, arena_str(a, pattern));
        fs_free(fs);
        return;
    }
    str dir = path_dir(pattern), last = path_base(pattern);
    if (!path_has_glob(dir) || depth == DEPTH_MAX) {
        glob_folder(dir, last, a, out);
        return;
    }
    str_list dirs = { 0 };
    glob_level(dir, depth + 1, a, &dirs);
    for (size_t i = 0; i < dirs.n; i++) glob_folder(dirs.at[i], last, a, out);
}

errc glob_paths(str pattern, struct arena *a, str_list *out, struct err *e)
{
    bool bad;
    (void)path_match(pattern, STR_EMPTY, &bad);
    if (bad) return err_set(e, ERR_BAD_INPUT, "syntax error in pattern");
    glob_level(pattern, 0, a, out);
    return OK;
}
