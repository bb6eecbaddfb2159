#include "ingest/relabel.h"

#include "base/digest.h"
#include "base/utf8.h"

#include <locale.h>
#include <wctype.h>

static const str action_names[RELABEL_ACTIONS] = {
    S("replace"),
    S("keep"),
    S("drop"),
    S("keepequal"),
    S("dropequal"),
    S("hashmod"),
    S("labelmap"),
    S("labeldrop"),
    S("labelkeep"),
    S("lowercase"),
    S("uppercase"),
};

struct relabel_rule relabel_default(void)
{
    return (struct relabel_rule){
        .action = RELABEL_REPLACE, .separator = S(";"), .pattern = S("(.*)"), .replacement = S("$1")
    };
}

str relabel_action_name(enum relabel_action a) { return action_names[a]; }

bool relabel_action_parse(str word, enum relabel_action *out)
{
    for (size_t a = 0; a < RELABEL_ACTIONS; a++) {
        if (!str_eq_nocase(word, action_names[a])) continue;
        *out = (enum relabel_action)a;
        return true;
    }
    return false;
}

/* Prometheus wraps an expression, ^(?s:…)$, before it compiles it, which shows where an error's
 * words quote what follows to the end. */
errc relabel_compile(struct relabel_rule *r, struct err *e)
{
    struct err words = { 0 };
    errc rc = regex_new(&r->regex, r->pattern, &words);
    if (rc == OK) return OK;
    static const struct { str words; const char *before; } to_end[] = {
        { S("error parsing regexp: missing closing ): `"), "^(?s:" },
        { S("error parsing regexp: unexpected ): `"), "^(?s:" },
        { S("error parsing regexp: missing closing ]: `"), "" },
    };
    str msg = err_str(&words);
    if (str_has_prefix(msg, S("error parsing regexp: trailing backslash")))
        return err_set(
            e, rc, "error parsing regexp: missing closing ): `^(?s:%.*s)$`", STR_ARG(r->pattern));
    for (size_t k = 0; k < ARRAY_LEN(to_end); k++) {
        if (!str_has_prefix(msg, to_end[k].words) || msg.p[msg.n - 1] != '`') continue;
        str quoted = str_slice(msg, to_end[k].words.n, msg.n - 1);
        if (str_has_prefix(quoted, S("^(?s:"))) break;
        return err_set(
            e, rc, "%.*s%s%.*s)$`", STR_ARG(to_end[k].words), to_end[k].before, STR_ARG(quoted));
    }
    return err_set(e, rc, "%.*s", STR_ARG(msg));
}

void relabel_fini(struct relabel_rules rules)
{
    for (size_t i = 0; i < rules.n; i++) regex_free(rules.at[i].regex);
}

static bool relabel_has_var(str s) { return str_index(s, '$') != SIZE_MAX; }

static bool relabel_name_valid(const struct relabel_rule *r, str name)
{
    return r->legacy_names ? label_name_valid_legacy(name) : label_name_valid_utf8(name);
}

static bool relabel_word_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9');
}

/* A legacy name in which $var and ${var} may stand for letters. */
static bool relabel_legacy_template(str s)
{
    bool started = false;              /* a digit may not come first */
    for (size_t i = 0; i < s.n;) {
        uint8_t c = s.p[i];
        if (c != '$') {
            if (!relabel_word_byte(c) || (!started && c >= '0' && c <= '9')) return false;
            i++;
        } else {
            bool braced = i + 1 < s.n && s.p[i + 1] == '{';
            size_t from = i + 1 + braced, to = from;
            while (to < s.n && relabel_word_byte(s.p[to])) to++;
            if (to == from || (braced && (to == s.n || s.p[to] != '}'))) return false;
            i = to + braced;
        }
        started = true;
    }
    return started;
}

static bool relabel_template_valid(const struct relabel_rule *r, str s)
{
    return r->legacy_names ? relabel_legacy_template(s) : label_name_valid_utf8(s);
}

static errc relabel_bad(struct err *e, const struct relabel_rule *r, str value, const char *field)
{
    struct buf b = { 0 };
    buf_go_quote(&b, value);
    errc rc = err_set(e, ERR_BAD_INPUT, "%.*s is invalid '%s' for %.*s action",
        STR_ARG(buf_view(&b)), field, STR_ARG(action_names[r->action]));
    buf_fini(&b);
    return rc;
}

static bool relabel_plain_but_regex(const struct relabel_rule *r)
{
    return r->modulus == 0 && str_eq(r->separator, S(";")) && str_eq(r->replacement, S("$1"));
}

static errc relabel_check_target(const struct relabel_rule *r, struct err *e)
{
    switch (r->action) {
    case RELABEL_REPLACE: {
        bool fine = relabel_has_var(r->target) ? relabel_template_valid(r, r->target)
                                               : relabel_name_valid(r, r->target);
        return fine ? OK : relabel_bad(e, r, r->target, "target_label");
    }
    case RELABEL_LOWERCASE:
    case RELABEL_UPPERCASE:
    case RELABEL_KEEPEQUAL:
    case RELABEL_DROPEQUAL:
        if (!relabel_name_valid(r, r->target)) return relabel_bad(e, r, r->target, "target_label");
        if (str_eq(r->replacement, S("$1"))) return OK;
        return err_set(e, ERR_BAD_INPUT, "'replacement' can not be set for %.*s action",
            STR_ARG(action_names[r->action]));
    case RELABEL_HASHMOD:
        return relabel_name_valid(r, r->target) ? OK : relabel_bad(e, r, r->target, "target_label");
    case RELABEL_LABELMAP:
        return relabel_template_valid(r, r->replacement)
                   ? OK
                   : relabel_bad(e, r, r->replacement, "replacement");
    default: return OK;
    }
}

errc relabel_check(const struct relabel_rule *r, struct err *e)
{
    str name = action_names[r->action];
    if (r->action == RELABEL_HASHMOD && r->modulus == 0)
        return err_set(
            e, ERR_BAD_INPUT, "relabel configuration for hashmod requires non-zero modulus");
    bool targeted = r->action == RELABEL_REPLACE || r->action == RELABEL_HASHMOD ||
                    r->action == RELABEL_LOWERCASE || r->action == RELABEL_UPPERCASE ||
                    r->action == RELABEL_KEEPEQUAL || r->action == RELABEL_DROPEQUAL;
    if (targeted && r->target.n == 0)
        return err_set(e, ERR_BAD_INPUT,
            "relabel configuration for %.*s action requires 'target_label' value", STR_ARG(name));
    TRY(relabel_check_target(r, e));
    if ((r->action == RELABEL_DROPEQUAL || r->action == RELABEL_KEEPEQUAL) &&
        (r->pattern_set || !relabel_plain_but_regex(r)))
        return err_set(e, ERR_BAD_INPUT,
            "%.*s action requires only 'source_labels' and `target_label`, and no other fields",
            STR_ARG(name));
    if ((r->action == RELABEL_LABELDROP || r->action == RELABEL_LABELKEEP) &&
        (r->source_set || r->target.n > 0 || !relabel_plain_but_regex(r)))
        return err_set(e, ERR_BAD_INPUT, "%.*s action requires only 'regex', and no other fields",
            STR_ARG(name));
    return OK;
}

/* The values of the source labels, joined. One label is handed out as it is. */
static str relabel_value(const struct relabel_rule *r, const struct labels_builder *lb)
{
    if (r->n_source == 0) return STR_EMPTY;
    if (r->n_source == 1) return labels_builder_get(lb, r->source[0]);
    size_t n = (r->n_source - 1) * r->separator.n;
    for (size_t i = 0; i < r->n_source; i++) n += labels_builder_get(lb, r->source[i]).n;
    uint8_t *at = arena_alloc(lb->a, n);
    str joined = { at, n };
    for (size_t i = 0; i < r->n_source; i++) {
        str parts[] = { i ? r->separator : STR_EMPTY, labels_builder_get(lb, r->source[i]) };
        for (size_t k = 0; k < 2; k++) {
            if (parts[k].n) memcpy(at, parts[k].p, parts[k].n);
            at += parts[k].n;
        }
    }
    return joined;
}

/* The buffer's bytes in the arena; the buffer ends. */
static str relabel_keep(struct arena *a, struct buf *b)
{
    str s = arena_str(a, buf_view(b));
    buf_fini(b);
    return s;
}

static void relabel_replace(const struct relabel_rule *r, str value, struct labels_builder *lb)
{
    struct buf b = { 0 };
    if (!regex_expand(r->regex, value, r->target, &b)) {
        buf_fini(&b);
        return;
    }
    str target = relabel_keep(lb->a, &b);
    if (!relabel_name_valid(r, target)) return;
    b = (struct buf){ 0 };
    if (!regex_expand(r->regex, value, r->replacement, &b)) buf_reset(&b);
    labels_builder_set(lb, target, relabel_keep(lb->a, &b));
}

/* Rune by rune by Unicode's simple mappings; a byte that is no UTF-8 becomes U+FFFD unless all is
 * ASCII, as Go has it. */
static str relabel_case(struct arena *a, str s, bool upper)
{
    /* made once; a race makes one that is never freed, and no more */
    static locale_t utf8;
    locale_t loc = __atomic_load_n(&utf8, __ATOMIC_ACQUIRE);
    if (!loc) {
        loc = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
        if (loc) __atomic_store_n(&utf8, loc, __ATOMIC_RELEASE);
    }
    struct buf b = { 0 };
    for (size_t i = 0; i < s.n;) {
        size_t width = 1;
        uint32_t rune = s.p[i] < 0x80 ? s.p[i] : utf8_rune(str_from(s, i), &width);
        if (rune < 0x80 || !loc) {
            if (upper && rune >= 'a' && rune <= 'z') rune -= 'a' - 'A';
            else if (!upper && rune >= 'A' && rune <= 'Z') rune += 'a' - 'A';
        } else {
            rune =
                (uint32_t)(upper ? towupper_l((wint_t)rune, loc) : towlower_l((wint_t)rune, loc));
        }
        buf_rune(&b, rune);
        i += width;
    }
    return relabel_keep(a, &b);
}

static str relabel_hash(const struct relabel_rule *r, struct arena *a, str value)
{
    uint8_t md5[16];
    digest_md5(md5, value);
    uint64_t h = 0;
    for (size_t i = 8; i < 16; i++) h = h << 8 | md5[i];
    return arena_fmt(a, "%" PRIu64, h % r->modulus);
}

/* Rules on names see the labels as they were before the rule. */
static void relabel_names(const struct relabel_rule *r, struct labels_builder *lb)
{
    size_t n = lb->pairs.n;
    struct label *was = arena_array(lb->a, n, sizeof(*was));
    if (n) memcpy(was, lb->pairs.at, n * sizeof(*was));
    for (size_t i = 0; i < n; i++) {
        if (was[i].value.n == 0) continue;
        bool match = regex_match(r->regex, was[i].name);
        if (r->action == RELABEL_LABELMAP) {
            struct buf b = { 0 };
            if (match && regex_expand(r->regex, was[i].name, r->replacement, &b))
                labels_builder_set(lb, relabel_keep(lb->a, &b), was[i].value);
            else buf_fini(&b);
        } else if (match == (r->action == RELABEL_LABELDROP)) {
            labels_builder_del(lb, was[i].name);
        }
    }
}

static bool relabel_one(const struct relabel_rule *r, struct labels_builder *lb)
{
    str value = relabel_value(r, lb);
    switch (r->action) {
    case RELABEL_KEEP: return regex_match(r->regex, value);
    case RELABEL_DROP: return !regex_match(r->regex, value);
    case RELABEL_KEEPEQUAL: return str_eq(labels_builder_get(lb, r->target), value);
    case RELABEL_DROPEQUAL: return !str_eq(labels_builder_get(lb, r->target), value);
    case RELABEL_REPLACE: relabel_replace(r, value, lb); return true;
    case RELABEL_HASHMOD:
        labels_builder_set(lb, r->target, relabel_hash(r, lb->a, value));
        return true;
    case RELABEL_LOWERCASE:
    case RELABEL_UPPERCASE:
        labels_builder_set(
            lb, r->target, relabel_case(lb->a, value, r->action == RELABEL_UPPERCASE));
        return true;
    default: relabel_names(r, lb); return true;
    }
}

bool relabel_apply(struct relabel_rules rules, struct labels_builder *lb)
{
    for (size_t i = 0; i < rules.n; i++)
        if (!relabel_one(&rules.at[i], lb)) return false;
    return true;
}
