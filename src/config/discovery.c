#include "config/discovery.h"

#include "config/sections.h"

/* An empty field and what is said about it; NULL ends. */
struct needed { const char *name, *words; };

static errc sd_needs(const struct value *v, const struct needed *n, struct err *e)
{
    for (; n->name; n++) {
        const struct value *f = value_field(v, n->name);
        bool empty = f->f->kind == F_STRS ? f->n == 0 : f->s.n == 0;
        if (empty) return err_set(e, ERR_BAD_INPUT, "%s", n->words);
    }
    return OK;
}
#define NEEDS(v, e, ...)                                                                           \
    TRY(sd_needs((v), (const struct needed[]){ __VA_ARGS__, { NULL, NULL } }, (e)))

static bool sd_one_of(str s, const char *const *words)
{
    for (; *words; words++)
        if (str_eq(s, str_z(*words))) return true;
    return false;
}
#define ONE_OF(s, ...) sd_one_of((s), (const char *const[]){ __VA_ARGS__, NULL })

SD_ROLE(aws)
{
    (void)l;
    return ONE_OF(*s, "ec2", "ecs", "elasticache", "lightsail", "msk", "rds")
               ? OK
               : quoted_fail(e, "unknown AWS SD role ", *s, "");
}
SD_ROLE(digitalocean)
{
    (void)l;
    return ONE_OF(*s, "droplets", "databases")
               ? OK
               : quoted_fail(e, "unknown DigitalOcean SD role ", *s, "");
}
SD_ROLE(hetzner)
{
    (void)l;
    return ONE_OF(*s, "robot", "hcloud") ? OK : quoted_fail(e, "unknown role ", *s, "");
}
SD_ROLE(kubernetes)
{
    (void)l;
    bool known = ONE_OF(*s, "node", "pod", "service", "endpoints", "endpointslice", "ingress");
    return known ? OK : quoted_fail(e, "unknown Kubernetes SD role ", *s, "");
}
SD_ROLE(openstack)
{
    (void)l;
    return ONE_OF(*s, "hypervisor", "instance", "loadbalancer")
               ? OK
               : quoted_fail(e, "unknown OpenStack SD role ", *s, "");
}
SD_ROLE(scaleway)
{
    (void)l;
    return ONE_OF(*s, "instance", "baremetal") ? OK : quoted_fail(e, "unknown role ", *s, "");
}

/* An absolute http URL with a host. */
static errc sd_http_url(str url, struct err *e)
{
    str scheme, host;
    if (url.n == 0) return err_set(e, ERR_BAD_INPUT, "URL is missing");
    TRY(url_parts(url, &scheme, &host, e));
    if (!str_eq_nocase(scheme, S("http")) && !str_eq_nocase(scheme, S("https")))
        return err_set(e, ERR_BAD_INPUT, "URL scheme must be 'http' or 'https'");
    return host.n ? OK : err_set(e, ERR_BAD_INPUT, "host is missing in URL");
}

static errc sd_parses(str url, struct err *e)
{
    str scheme, host;
    return url_parts(url, &scheme, &host, e);
}

static errc sd_one_secret_key(const struct value *v, struct err *e)
{
    bool key = value_str(v, "secret_key").n, file = value_str(v, "secret_key_file").n;
    if (!key && !file)
        return err_set(e, ERR_BAD_INPUT, "one of secret_key & secret_key_file must be configured");
    return key && file ? err_set(e, ERR_BAD_INPUT,
                             "at most one of secret_key & secret_key_file must be configured")
                       : OK;
}

SD_CHECK(aws)
{
    (void)l;
    (void)e;
    return value_str(v, "role").n ? OK : err_set(e, ERR_BAD_INPUT, "unknown AWS SD role \"\"");
}
SD_CHECK(ec2)
{
    const struct value *filters = value_field(v, "filters");
    for (size_t i = 0; i < filters->n; i++)
        if (!filters->at[i] || value_field(filters->at[i], "values")->n == 0)
            return err_set(e, ERR_BAD_INPUT, "EC2 SD configuration filter values cannot be empty");
    return http_client_check(l, v, e);
}
SD_CHECK(ecs) { return http_client_check(l, v, e); }
SD_CHECK(elasticache) { return http_client_check(l, v, e); }
SD_CHECK(lightsail) { return http_client_check(l, v, e); }
SD_CHECK(msk) { return http_client_check(l, v, e); }
SD_CHECK(rds) { return http_client_check(l, v, e); }
SD_CHECK(linode) { return http_client_check(l, v, e); }
SD_CHECK(vultr) { return http_client_check(l, v, e); }

SD_CHECK(azure)
{
    NEEDS(v, e, { "subscription_id", "azure SD configuration requires a subscription_id" });
    str method = value_str(v, "authentication_method");
    if (str_eq(method, S("OAuth")))
        NEEDS(v, e, { "tenant_id", "azure SD configuration requires a tenant_id" },
              { "client_id", "azure SD configuration requires a client_id" },
              { "client_secret", "azure SD configuration requires a client_secret" });
    if (!ONE_OF(method, "OAuth", "ManagedIdentity", "SDK", "WorkloadIdentity"))
        return quoted_fail(e, "unknown authentication_type ", method,
            ". Supported types are \"OAuth\", \"ManagedIdentity\", \"SDK\" or "
            "\"WorkloadIdentity\"");
    return http_client_check(l, v, e);
}
SD_CHECK(consul)
{
    if (str_trim(value_str(v, "server")).n == 0)
        return err_set(e, ERR_BAD_INPUT, "consul SD configuration requires a server address");
    struct value *basic = value_field(v, "basic_auth");
    if (value_str(v, "username").n || value_str(v, "password").n) {
        if (!basic->null)
            return err_set(e, ERR_BAD_INPUT,
                "at most one of consul SD configuration username and password and basic auth can "
                "be configured");
        struct value *made = value_zero(l, &basic_auth_section);
        basic->at = made->at;
        basic->n = made->n;
        basic->null = false;
        value_put_str(basic, "username", value_str(v, "username"));
        value_put_str(basic, "password", value_str(v, "password"));
    }
    if (value_str(v, "token").n &&
        (!value_field(v, "authorization")->null || !value_field(v, "oauth2")->null))
        return err_set(e, ERR_BAD_INPUT,
            "at most one of consul SD token, authorization, or oauth2 can be configured");
    return http_client_check(l, v, e);
}
SD_CHECK(digitalocean)
{
    NEEDS(v, e, { "role", "role missing (one of: droplets, databases)" });
    return http_client_check(l, v, e);
}
SD_CHECK(dns)
{
    (void)l;
    NEEDS(v, e, { "names", "DNS-SD config must contain at least one SRV record name" });
    str type = value_str(v, "type");
    if (str_eq_nocase(type, S("SRV"))) return OK;
    static const str types[] = { S("A"), S("AAAA"), S("MX"), S("NS") };
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (!str_eq_nocase(type, types[i])) continue;
        if (value_int(v, "port")) return OK;
        return err_set(e, ERR_BAD_INPUT,
            "a port is required in DNS-SD configs for all record types except SRV");
    }
    return err_set(e, ERR_BAD_INPUT, "invalid DNS-SD records type %.*s", STR_ARG(type));
}
SD_CHECK(docker)
{
    NEEDS(v, e, { "host", "host missing" });
    TRY(sd_parses(value_str(v, "host"), e));
    return http_client_check(l, v, e);
}
SD_CHECK(dockerswarm)
{
    NEEDS(v, e, { "host", "host missing" });
    TRY(sd_parses(value_str(v, "host"), e));
    str role = value_str(v, "role");
    NEEDS(v, e, { "role", "role missing (one of: tasks, services, nodes)" });
    if (!ONE_OF(role, "services", "nodes", "tasks"))
        return err_set(e, ERR_BAD_INPUT, "invalid role %.*s, expected tasks, services, or nodes",
            STR_ARG(role));
    return http_client_check(l, v, e);
}
SD_CHECK(eureka)
{
    NEEDS(v, e, { "server", "eureka_sd: empty or null eureka server" });
    str scheme, host;
    TRY(url_parts(value_str(v, "server"), &scheme, &host, e));
    if (scheme.n == 0 || host.n == 0)
        return err_set(e, ERR_BAD_INPUT, "eureka_sd: invalid eureka server URL");
    return http_client_check(l, v, e);
}
/* One star, in the last part of the path; an ending of JSON or YAML. */
static bool file_pattern_valid(str path)
{
    static const str endings[] = { S(".json"), S(".yml"), S(".yaml"), S(".JSON"), S(".YML"),
        S(".YAML") };
    bool ends = false;
    for (size_t i = 0; i < ARRAY_LEN(endings); i++) ends |= str_has_suffix(path, endings[i]);
    size_t star = str_index(path, '*');
    return ends && (star == SIZE_MAX || str_index(str_from(path, star), '/') == SIZE_MAX);
}
SD_CHECK(file)
{
    (void)l;
    NEEDS(v, e, { "files", "file service discovery config must contain at least one path name" });
    const struct value *files = value_field(v, "files");
    for (size_t i = 0; i < files->n; i++)
        if (!file_pattern_valid(files->strs[i]))
            return quoted_fail(e, "path name ", files->strs[i], " is not valid for file discovery");
    return OK;
}
SD_CHECK(gce)
{
    (void)l;
    NEEDS(v, e, { "project", "GCE SD configuration requires a project" },
        { "zone", "GCE SD configuration requires a zone" });
    return OK;
}
SD_CHECK(hetzner)
{
    NEEDS(v, e, { "role", "role missing (one of: robot, hcloud)" });
    return http_client_check(l, v, e);
}
SD_CHECK(http)
{
    TRY(sd_http_url(value_str(v, "url"), e));
    return http_client_check(l, v, e);
}
SD_CHECK(ionos)
{
    NEEDS(v, e, { "datacenter_id", "datacenter id can't be empty" });
    return http_client_check(l, v, e);
}

/* Does the block of an HTTP client differ from its defaults? */
static bool http_client_custom(const struct value *v)
{
    static const char *const fields[] = { "basic_auth", "authorization", "oauth2", "tls_config",
        "proxy_url", "no_proxy", "proxy_from_environment", "proxy_connect_header", "http_headers" };
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (!value_is_zero(value_field(v, fields[i]))) return true;
    return !value_bool(v, "follow_redirects") || !value_bool(v, "enable_http2");
}

/* field=value, field==value or field!=value, with commas between. */
static errc selector_check(str field, struct err *e)
{
    for (str rest = field, term; rest.n;) {
        (void)str_cut(rest, ',', &term, &rest);
        if (term.n && str_index(term, '=') == SIZE_MAX)
            return err_set(e, ERR_BAD_INPUT, "invalid selector: '%.*s'; can't understand '%.*s'",
                STR_ARG(field), STR_ARG(term));
    }
    return OK;
}

static errc kubernetes_selectors_check(const struct value *v, struct err *e)
{
    static const struct { const char *role, *allowed[4]; const char *words; } roles[] = {
        { "pod", { "pod", "node" }, "pod, node" },
        { "service", { "service" }, "service" },
        { "endpointslice", { "pod", "service", "endpointslice" }, "pod, service, endpointslice" },
        { "endpoints", { "pod", "service", "endpoints" }, "pod, service, endpoints" },
        { "node", { "node" }, "node" },
        { "ingress", { "ingress" }, "ingress" },
    };
    str role = value_str(v, "role");
    const struct value *selectors = value_field(v, "selectors");
    for (size_t i = 0; i < selectors->n; i++) {
        str of = value_str(selectors->at[i], "role");
        for (size_t k = 0; k < i; k++)
            if (str_eq(of, value_str(selectors->at[k], "role")))
                return err_set(e, ERR_BAD_INPUT, "duplicated selector role: %.*s", STR_ARG(of));
        for (size_t k = 0; k < ARRAY_LEN(roles); k++)
            if (str_eq(role, str_z(roles[k].role)) && !sd_one_of(of, roles[k].allowed))
                return err_set(e, ERR_BAD_INPUT, "%.*s role supports only %s selectors",
                    STR_ARG(role), roles[k].words);
        TRY(selector_check(value_str(selectors->at[i], "field"), e));
    }
    return OK;
}

SD_CHECK(kubernetes)
{
    NEEDS(v, e,
        { "role", "role missing (one of: pod, service, endpoints, endpointslice, node, ingress)" });
    TRY(http_client_check(l, v, e));
    bool server = !value_field(v, "api_server")->null,
         kubeconfig = value_str(v, "kubeconfig_file").n, custom = http_client_custom(v);
    bool own = value_bool(value_field(v, "namespaces"), "own_namespace");
    if (server && kubeconfig)
        return err_set(
            e, ERR_BAD_INPUT, "cannot use 'kubeconfig_file' and 'api_server' simultaneously");
    if (kubeconfig && custom)
        return err_set(e, ERR_BAD_INPUT,
            "cannot use a custom HTTP client configuration together with 'kubeconfig_file'");
    if (!server && custom)
        return err_set(e, ERR_BAD_INPUT,
            "to use custom HTTP client configuration please provide the 'api_server' URL "
            "explicitly");
    if (server && own)
        return err_set(e, ERR_BAD_INPUT,
            "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously");
    if (kubeconfig && own)
        return err_set(e, ERR_BAD_INPUT,
            "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously");
    return kubernetes_selectors_check(v, e);
}
SD_CHECK(kuma)
{
    NEEDS(v, e, { "server", "kuma SD server must not be empty: " });
    str scheme, host, server = value_str(v, "server");
    TRY(url_parts(server, &scheme, &host, e));
    if (scheme.n == 0 || host.n == 0)
        return err_set(e, ERR_BAD_INPUT, "kuma SD server must not be empty and have a scheme: %.*s",
            STR_ARG(server));
    return http_client_check(l, v, e);
}
SD_CHECK(marathon)
{
    NEEDS(v, e, { "servers", "marathon_sd: must contain at least one Marathon server" });
    bool token = value_str(v, "auth_token").n, file = value_str(v, "auth_token_file").n;
    if (token && file)
        return err_set(e, ERR_BAD_INPUT,
            "marathon_sd: at most one of auth_token & auth_token_file must be configured");
    if (!token && !file) return http_client_check(l, v, e);
    if (!value_field(v, "basic_auth")->null)
        return err_set(e, ERR_BAD_INPUT,
            "marathon_sd: at most one of basic_auth, auth_token & auth_token_file must be "
            "configured");
    if (value_str(v, "bearer_token").n || value_str(v, "bearer_token_file").n)
        return err_set(e, ERR_BAD_INPUT,
            "marathon_sd: at most one of bearer_token, bearer_token_file, auth_token & "
            "auth_token_file must be "
            "configured");
    if (!value_field(v, "authorization")->null)
        return err_set(e, ERR_BAD_INPUT,
            "marathon_sd: at most one of auth_token, auth_token_file & authorization must be "
            "configured");
    return http_client_check(l, v, e);
}

static errc zookeeper_check(const struct value *v, const char *kind, struct err *e)
{
    if (value_field(v, "servers")->n == 0)
        return err_set(
            e, ERR_BAD_INPUT, "%s SD config must contain at least one Zookeeper server", kind);
    const struct value *paths = value_field(v, "paths");
    if (paths->n == 0)
        return err_set(e, ERR_BAD_INPUT, "%s SD config must contain at least one path", kind);
    for (size_t i = 0; i < paths->n; i++)
        if (!str_has_prefix(paths->strs[i], S("/")))
            return err_set(e, ERR_BAD_INPUT, "%s SD config paths must begin with '/': %.*s", kind,
                STR_ARG(paths->strs[i]));
    return OK;
}
SD_CHECK(nerve)
{
    (void)l;
    return zookeeper_check(v, "nerve", e);
}
SD_CHECK(serverset)
{
    (void)l;
    return zookeeper_check(v, "serverset", e);
}
SD_CHECK(nomad)
{
    if (str_trim(value_str(v, "server")).n == 0)
        return err_set(e, ERR_BAD_INPUT, "nomad SD configuration requires a server address");
    return http_client_check(l, v, e);
}

static errc oci_auth_check(const struct value *v, struct err *e)
{
    str auth = value_str(v, "auth");
    if (str_eq(auth, S("api_key"))) {
        NEEDS(v, e, { "tenancy", "oci_sd: api_key auth requires tenancy" },
            { "user", "oci_sd: api_key auth requires user" },
            { "fingerprint", "oci_sd: api_key auth requires fingerprint" },
            { "key_file", "oci_sd: api_key auth requires key_file" });
        if (value_str(v, "key_passphrase").n && value_str(v, "key_passphrase_file").n)
            return err_set(e, ERR_BAD_INPUT,
                "oci_sd: at most one of key_passphrase and key_passphrase_file must be configured");
        return OK;
    }
    if (!str_eq(auth, S("instance_principal")))
        return quoted_fail(e, "oci_sd: unknown auth method ", auth,
            ", expected \"api_key\" or \"instance_principal\"");
    static const char *const none[] = { "tenancy", "user", "fingerprint", "key_file",
        "key_passphrase", "key_passphrase_file" };
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        if (value_str(v, none[i]).n)
            return err_set(e, ERR_BAD_INPUT,
                "oci_sd: instance_principal auth must not have tenancy, user, fingerprint, "
                "key_file, "
                "key_passphrase, or key_passphrase_file set");
    return OK;
}
SD_CHECK(oci)
{
    NEEDS(v, e, { "region", "oci_sd: region is required" });
    TRY(oci_auth_check(v, e));
    const struct value *compartments = value_field(v, "compartments");
    for (size_t i = 0; i < compartments->n; i++)
        if (compartments->strs[i].n == 0)
            return err_set(e, ERR_BAD_INPUT, "oci_sd: compartments[%zu] must not be empty", i);
    if (value_int(v, "refresh_interval") <= 0)
        return err_set(e, ERR_BAD_INPUT, "oci_sd: refresh_interval must be positive, got %.*s",
            STR_ARG(value_str(v, "refresh_interval")));
    return http_client_check(l, v, e);
}
SD_CHECK(openstack)
{
    (void)l;
    str availability = value_str(v, "availability");
    if (!ONE_OF(availability, "public", "internal", "admin"))
        return err_set(e, ERR_BAD_INPUT,
            "unknown availability %.*s, must be one of admin, internal or public",
            STR_ARG(availability));
    NEEDS(v, e, { "role", "role missing (one of: instance, hypervisor, loadbalancer)" },
          { "region", "openstack SD configuration requires a region" });
    return OK;
}
SD_CHECK(outscale)
{
    NEEDS(v, e, { "region", "outscale SD configuration requires a region" },
        { "access_key", "outscale SD configuration requires access_key" });
    TRY(sd_one_secret_key(v, e));
    if (value_str(v, "endpoint").n == 0)
        value_put_str(v, "endpoint",
            arena_fmt(
                l->a, "https://api.%.*s.outscale.com/api/v1", STR_ARG(value_str(v, "region"))));
    return http_client_check(l, v, e);
}
SD_CHECK(ovhcloud)
{
    (void)l;
    NEEDS(v, e, { "endpoint", "endpoint can not be empty" },
        { "application_key", "application key can not be empty" },
        { "application_secret", "application secret can not be empty" },
        { "consumer_key", "consumer key can not be empty" });
    str service = value_str(v, "service");
    if (ONE_OF(service, "dedicated_server", "vps")) return OK;
    return err_set(e, ERR_BAD_INPUT, "unknown service: %.*s", STR_ARG(service));
}
SD_CHECK(puppetdb)
{
    TRY(sd_http_url(value_str(v, "url"), e));
    NEEDS(v, e, { "query", "query missing" });
    return http_client_check(l, v, e);
}
SD_CHECK(scaleway)
{
    NEEDS(v, e, { "role", "role missing (one of: instance, baremetal)" },
        { "project_id", "project_id is mandatory" });
    TRY(sd_one_secret_key(v, e));
    NEEDS(v, e, { "access_key", "access_key is mandatory" });
    return http_client_check(l, v, e);
}
SD_CHECK(stackit)
{
    str endpoint = value_str(v, "endpoint");
    if (endpoint.n == 0 && value_str(v, "region").n == 0)
        return err_set(e, ERR_BAD_INPUT, "stackit_sd: endpoint and region missing");
    struct err why = { 0 };
    if (sd_parses(endpoint, &why) != OK) {
        struct err words = { 0 };
        (void)quoted_fail(&words, "stackit_sd: invalid endpoint ", endpoint, ": ");
        return err_set(e, ERR_BAD_INPUT, "%s%.*s", words.msg, STR_ARG(err_str(&why)));
    }
    return http_client_check(l, v, e);
}
SD_CHECK(triton)
{
    (void)l;
    if (!ONE_OF(value_str(v, "role"), "container", "cn"))
        return err_set(
            e, ERR_BAD_INPUT, "triton SD configuration requires role to be 'container' or 'cn'");
    NEEDS(v, e, { "account", "triton SD configuration requires an account" },
        { "dns_suffix", "triton SD configuration requires a dns_suffix" },
        { "endpoint", "triton SD configuration requires an endpoint" });
    if (value_int(v, "refresh_interval") > 0) return OK;
    return err_set(e, ERR_BAD_INPUT,
        "triton SD configuration requires RefreshInterval to be a positive integer");
}
SD_CHECK(uyuni)
{
    NEEDS(v, e, { "server", "Uyuni SD configuration requires server host" });
    struct err why = { 0 };
    if (sd_parses(value_str(v, "server"), &why) != OK)
        return err_set(
            e, ERR_BAD_INPUT, "Uyuni Server URL is not valid: %.*s", STR_ARG(err_str(&why)));
    NEEDS(v, e, { "username", "Uyuni SD configuration requires a username" },
        { "password", "Uyuni SD configuration requires a password" });
    return http_client_check(l, v, e);
}
