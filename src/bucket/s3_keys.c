#include "bucket/s3_keys.h"

#include "io/fs.h"

enum { FILE_BYTES_MAX = 1 << 20 };

static str env_of(const struct bucket_config *c, const char *name, const char *other)
{
    const char *v = c->env ? c->env(name) : NULL;
    if ((!v || !*v) && other && c->env) v = c->env(other);
    return str_z(v);
}

struct sigv4_keys s3_keys_of_file(str text, str profile)
{
    struct sigv4_keys k = { 0 };
    bool mine = false;
    while (text.n) {
        str line, rest, name, value;
        str_cut(text, '\n', &line, &rest);
        text = rest;
        line = str_trim(line);
        if (!line.n || line.p[0] == '#' || line.p[0] == ';') continue;
        if (line.p[0] == '[') {
            mine = str_eq(str_trim(str_slice(line, 1, line.n - 1)), profile);
            continue;
        }
        if (!mine || !str_cut(line, '=', &name, &value)) continue;
        name = str_trim(name);
        value = str_trim(value);
        if (str_eq_nocase(name, S("aws_access_key_id"))) k.access_key = value;
        else if (str_eq_nocase(name, S("aws_secret_access_key"))) k.secret_key = value;
        else if (str_eq_nocase(name, S("aws_session_token"))) k.session_token = value;
    }
    return k;
}

errc s3_keys_find(
    struct sigv4_keys *out, const struct bucket_config *c, struct arena *a, struct err *e)
{
    const struct s3_config *s = &c->s3;
    struct sigv4_keys k = { s->access_key, s->secret_key, s->session_token };
    if (!k.access_key.n) {
        k.access_key = env_of(c, "AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY");
        k.secret_key = env_of(c, "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY");
        k.session_token = env_of(c, "AWS_SESSION_TOKEN", NULL);
    }
    if (!k.access_key.n || !k.secret_key.n) {
        str path = env_of(c, "AWS_SHARED_CREDENTIALS_FILE", NULL), text;
        str home = env_of(c, "HOME", NULL), profile = env_of(c, "AWS_PROFILE", NULL);
        if (!path.n && home.n) path = arena_fmt(a, "%.*s/.aws/credentials", STR_ARG(home));
        k = (struct sigv4_keys){ 0 };
        if (path.n && fs_read_path(path, a, FILE_BYTES_MAX, &text, NULL) == OK)
            k = s3_keys_of_file(text, profile.n ? profile : S("default"));
    }
    if ((k.access_key.n > 0) != (k.secret_key.n > 0))
        return err_set(
            e, ERR_BAD_INPUT, "an access key without its secret, or the other way round");
    *out = (struct sigv4_keys){ arena_str(a, k.access_key), arena_str(a, k.secret_key),
        arena_str(a, k.session_token) };
    return OK;
}
