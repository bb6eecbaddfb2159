/* sections_alerting.c — where alerts are sent. */
#include "config/sections.h"

static errc api_version_word(struct load *l, str *s, struct err *e)
{
    (void)l;
    if (str_eq(*s, S("v2"))) return OK;
    return err_set(e, ERR_BAD_INPUT,
        "expected Alertmanager api version to be one of [v2] but got %.*s", STR_ARG(*s));
}

static errc alertmanager_check(struct load *l, struct value *v, struct err *e)
{
    TRY(sd_no_null(v, e));
    TRY(http_client_check(l, v, e));
    bool auth = !value_field(v, "basic_auth")->null || !value_field(v, "authorization")->null ||
                !value_field(v, "oauth2")->null;
    if (auth && !value_field(v, "sigv4")->null)
        return err_set(e, ERR_BAD_INPUT,
            "at most one of basic_auth, authorization, oauth2, & sigv4 must be configured");
    TRY(sd_rules_check(v, "empty or null Alertmanager target relabeling rule", e));
    return rules_no_null(value_field(v, "alert_relabel_configs"),
        "empty or null Alertmanager alert relabeling rule", e);
}

static const struct field alertmanager_fields[] = {
    HTTP_CLIENT_FIELDS("true"),
    { .name = "sigv4", .kind = F_SECTION_PTR, .flags = OMIT, .sub = &sigv4_section },
    { .name = "scheme", .kind = F_STR, .flags = OMIT, .def = "http" },
    { .name = "path_prefix", .kind = F_STR, .flags = OMIT },
    { .name = "timeout", .kind = F_DURATION, .flags = OMIT, .def = "10s" },
    { .name = "api_version", .kind = F_WORD, .def = "v2", .word = api_version_word },
    RELABEL_FIELD("relabel_configs"),
    RELABEL_FIELD("alert_relabel_configs"),
    SD_FIELDS,
};
static const struct section alertmanager_section = {
    .name = "config.AlertmanagerConfig", FIELDS_OF(alertmanager_fields), .check = alertmanager_check
};

static errc alerting_check(struct load *l, struct value *v, struct err *e)
{
    (void)l;
    return rules_no_null(
        value_field(v, "alert_relabel_configs"), "empty or null alert relabeling rule", e);
}

static const struct field alerting_fields[] = {
    RELABEL_FIELD("alert_relabel_configs"),
    { .name = "alertmanagers",
        .kind = F_SECTIONS,
        .flags = OMIT,
        .sub = &alertmanager_section,
        .go_type = "config.AlertmanagerConfigs" },
};
const struct section alerting_section = {
    .name = "config.plain", FIELDS_OF(alerting_fields), .check = alerting_check
};
