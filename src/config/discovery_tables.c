#include "config/discovery.h"

#include "config/sections.h"

/* One table for each kind of service discovery. */

static const struct field aws_filter_fields[] = { { .name = "name", .kind = F_STR },
    { .name = "values", .kind = F_STRS } };
static const struct section aws_filter_section = { .name = "aws.Filter",
    FIELDS_OF(aws_filter_fields) };
static const struct section moby_filter_section = { .name = "moby.Filter",
    FIELDS_OF(aws_filter_fields) };

static const struct field kubernetes_namespaces_fields[] = {
    { .name = "own_namespace", .kind = F_BOOL }, { .name = "names", .kind = F_STRS },
};
static const struct section kubernetes_namespaces_section = {
    .name = "kubernetes.plain", FIELDS_OF(kubernetes_namespaces_fields), .from_zero = true
};
static const struct field kubernetes_attach_fields[] = {
    { .name = "node", .kind = F_BOOL },
    { .name = "namespace", .kind = F_BOOL },
    { .name = "deployment", .kind = F_BOOL },
    { .name = "job", .kind = F_BOOL },
    { .name = "cronjob", .kind = F_BOOL },
};
static const struct section kubernetes_attach_section = { .name = "kubernetes.AttachMetadataConfig",
    FIELDS_OF(kubernetes_attach_fields) };
static const struct field kubernetes_selector_fields[] = {
    { .name = "role", .kind = F_WORD, .flags = OMIT, .word = kubernetes_role_word },
    { .name = "label", .kind = F_STR, .flags = OMIT },
    { .name = "field", .kind = F_STR, .flags = OMIT },
};
static const struct section kubernetes_selector_section = { .name = "kubernetes.SelectorConfig",
    FIELDS_OF(kubernetes_selector_fields) };

static const struct field aws_fields[] = {
    { .name = "role", .kind = F_WORD, .word = aws_role_word },
    { .name = "region", .kind = F_STR, .flags = OMIT },
    { .name = "endpoint", .kind = F_STR, .flags = OMIT },
    { .name = "access_key", .kind = F_STR, .flags = OMIT },
    { .name = "secret_key", .kind = F_SECRET, .flags = OMIT, .go_type = "config.plain" },
    { .name = "profile", .kind = F_STR, .flags = OMIT },
    { .name = "role_arn", .kind = F_STR, .flags = OMIT },
    { .name = "external_id", .kind = F_STR, .flags = OMIT },
    { .name = "refresh_interval", .kind = F_DURATION, .flags = OMIT },
    { .name = "port", .kind = F_INT, .flags = OMIT },
    HTTP_CLIENT_FIELDS(NULL),
    { .name = "filters",
        .kind = F_SECTIONS,
        .flags = OMIT,
        .sub = &aws_filter_section,
        .go_type = "[]*aws.Filter" },
    { .name = "clusters", .kind = F_STRS, .flags = OMIT },
};
const struct section aws_sd = { .name = "aws.plain", FIELDS_OF(aws_fields), .check = aws_check };

static const struct field azure_fields[] = {
    { .name = "environment", .kind = F_STR, .flags = OMIT, .def = "AzurePublicCloud" },
    { .name = "port", .kind = F_INT, .def = "80" },
    { .name = "subscription_id", .kind = F_STR },
    { .name = "tenant_id", .kind = F_STR, .flags = OMIT },
    { .name = "client_id", .kind = F_STR, .flags = OMIT },
    { .name = "client_secret", .kind = F_SECRET, .flags = OMIT, .go_type = "config.plain" },
    { .name = "refresh_interval", .kind = F_DURATION, .flags = OMIT, .def = "5m" },
    { .name = "authentication_method", .kind = F_STR, .flags = OMIT, .def = "OAuth" },
    { .name = "resource_group", .kind = F_STR, .flags = OMIT },
    HTTP_CLIENT_FIELDS("true"),
};
const struct section azure_sd = {
    .name = "azure.plain", FIELDS_OF(azure_fields), .check = azure_check
};

static const struct field consul_fields[] = {
    { .name = "server", .kind = F_STR, .flags = OMIT, .def = "localhost:8500" },
    { .name = "path_prefix", .kind = F_STR, .flags = OMIT },
    { .name = "token", .kind = F_SECRET, .flags = OMIT, .go_type = "config.plain" },
    { .name = "datacenter", .kind = F_STR, .flags = OMIT },
    { .name = "namespace", .kind = F_STR, .flags = OMIT },
    { .name = "partition", .kind = F_STR, .flags = OMIT },
    { .name = "tag_separator", .kind = F_STR, .flags = OMIT, .def = "," },
    { .name = "scheme", .kind = F_STR, .flags = OMIT, .def = "http" },
    { .name = "username", .kind = F_STR, .flags = OMIT },
    { .name = "password", .kind = F_SECRET, .flags = OMIT, .go_type = "config.plain" },
    { .name = "allow_stale", .kind = F_BOOL, .def = "true" },
    { .name = "refresh_interval", .kind = F_DURATION, .flags = OMIT, .def = "30s" },
    { .name = "services", .kind = F_STRS, .flags = OMIT },
    { .name = "tags", .kind = F_STRS, .flags = OMIT },
    { .name = "node_meta", .kind = F_STR_MAP, .flags = OMIT },
    { .name = "filter", .kind = F_STR, .flags = OMIT },
    { .name = "health_filter", .kind = F_STR, .flags = OMIT },
    HTTP_CLIENT_FIELDS("true"),
};
const struct section consul_sd = {
    .name = "consul.plain", FIELDS_OF(consul_fields), .check = consul_check
};

static const struct field digitalocean_fields[] = {
    HTTP_CLIENT_FIELDS("true"),
    { .name = "refresh_interval", .kind = F_DURATION, .def = "1m" },
    { .name = "port", .kind = F_INT, .def = "80" },
    { .name = "role", .kind = F_WORD, .def = "droplets", .word = digitalocean_role_word },
    { .name = "httpclient", .kind = F_BOOL_PTR, .flags = DERIVED },
};
const struct section digitalocean_sd = {
    .name = "digitalocean.plain", FIELDS_OF(digitalocean_fields), .check = digitalocean_check
};

static const struct field dns_fields[] = {
    { .name = "names", .kind = F_STRS },
    { .name = "refresh_interval", .kind = F_DURATION, .flags = OMIT, .def = "30s" },
    { .name = "type", .kind = F_STR, .def = "SRV" },
    { .name = "port", .kind = F_INT },
};
const struct section dns_sd = { .name = "dns.plain", FIELDS_OF(dns_fields), .check = dns_check };

static const struct field docker_fields[] = {
    HTTP_CLIENT_FIELDS("true"),
    { .name = "host", .kind = F_STR },
    { .name = "port", .kind = F_INT, .def = "80" },
    { .name = "filters",
        .kind = F_SECTIONS,
        .flags = LIST_OF_VALUES,
        .sub = &moby_filter_section,
        .go_type = "[]moby.Filter" },
    { .name = "host_networking_host", .kind = F_STR, .def = "localhost" },
    { .name = "refresh_interval", .kind = F_DURATION, .def = "1m" },
    { .name = "match_first_network", .kind = F_BOOL, .def = "true" },
};
const struct section docker_sd = {
    .name = "moby.plain", FIELDS_OF(docker_fields), .check = docker_check
};

static const struct field dockerswarm_fields[] = {
    HTTP_CLIENT_FIELDS("true"),
    { .name = "host", .kind = F_STR },
    { .name = "role", .kind = F_STR },
    { .name = "port", .kind = F_INT, .def = "80" },
    { .name = "filters",
        .kind = F_SECTIONS,
        .flags = LIST_OF_VALUES,
        .sub = &moby_filter_section,
        .go_type = "[]moby.Filter" },
    { .name = "refresh_interval", .kind = F_DURATION, .def = "1m" },
};
const struct section dockerswarm_sd = {
    .name = "moby.plain", FIELDS_OF(dockerswarm_fields), .check = dockerswarm_check
};

static const struct field ec2_fields[] = {
    { .name = "endpoint", .kind = F_STR },
    { .name = "region", .kind = F_STR },
    { .name = "access_key", .kind = F_STR, .flags = OMIT },
    { .name = "secret_key", .kind = F_SECRET, .flags = OMIT, .go_type = "config.plain" },
    { .name = "profile", .kind = F_STR, .flags = OMIT },
    { .name = "role_arn", .kind = F_STR, .flags = OMIT },
    { .name = "external_id", .kind = F_STR, .flags = OMIT },
    { .name = "refresh_interval", .kind = F_DURATION, .flags = OMIT, .def = "1m" },
    { .name = "port", .kind = F_INT, .def = "80" },
    { .name = "filters",
        .kind = F_SECTIONS,
        .sub = &aws_filter_section,
        .go_type = "[]*aws.Filter" },
    HTTP_CLIENT_FIELDS("true"),
};
const struct section ec2_sd = { .name = "aws.plain", FIELDS_OF(ec2_fields), .check = ec2_check };

static const struct field ecs_fields[] = {
    { .name = "region", .kind = F_STR },
    { .name = "endpoint", .kind = F_STR },
    { .name = "access_key", .kind = F_STR, .flags = OMIT },
    { .name = "secret_key", .kind = F_SECRET, .flags = OMIT, .go_type = "config.plain" },
    { .name = "profile", .kind = F_STR, .flags = OMIT },
    { .name = "role_arn", .kind = F_STR, .flags = OMIT },
    { .name = "external_id", .kind = F_STR, .flags = OMIT },
    { .name = "clusters", .kind = F_STRS, .flags = OMIT },
    { .name = "port", .kind = F_INT, .def = "80" },
    { .name = "refresh_interval", .kind = F_DURATION, .flags = OMIT, .def = "1m" },
    { .name = "request_concurrency", .kind = F_INT, .flags = OMIT, .def = "20" },
    HTTP_CLIENT_FIELDS("true"),
};
const struct section ecs_sd = { .name = "aws.plain", FIELDS_OF(ecs_fields), .check = ecs_check };

static const struct field elasticache_fields[] = {
    { .name = "region", .kind = F_STR },
    { .name = "endpoint", .kind = F_STR },
    { .name = "access_key", .kind = F_STR, .flags = OMIT },
    { .name = "secret_key", .kind = F_SECRET, .flags = OMIT, .go_type = "config.plain" },
    { .name = "profile", .kind = F_STR, .flags = OMIT },
    { .name = "role_arn", .kind = F_STR, .flags = OMIT },
    { .name = "external_id", .kind = F_STR, .flags = OMIT },
    { .name = "clusters", .kind = F_STRS, .flags = OMIT },
    { .name = "port", .kind = F_INT, .def = "80" },
    { .name = "refresh_interval", .kind = F_DURATION, .flags = OMIT, .def = "1m" },
    { .name = "request_concurrency", .kind = F_INT, .flags = OMIT, .def = "10" },
    HTTP_CLIENT_FIELDS("true"),
};
const struct section elasticache_sd = {
    .name = "aws.plain", FIELDS_OF(elasticache_fields), .check = elasticache_check
};

static const struct field eureka_fields[] = {
    { .name = "server", .kind = F_STR, .flags = OMIT },
    HTTP_CLIENT_FIELDS("true"),
    { .name = "refresh_interval", .kind = F_DURATION, .flags = OMIT, .def = "30s" },
};
const struct section eureka_sd = {
    .name = "eureka.plain", FIELDS_OF(eureka_fields), .check = eureka_check
};

static const struct field file_fields[] = {
    { .name = "files", .kind = F_STRS, .flags = PATH },
    { .name = "refresh_interval", .kind = F_DURATION, .flags = OMIT, .def = "5m" },
};
const struct section file_sd = {
    .name = "file.plain", FIELDS_OF(file_fields), .check = file_check
};

static const struct field gce_fields[] = {
    { .name = "project", .kind = F_STR },
    { .name = "zone", .kind = F_STR },
    { .name = "filter", .kind = F_STR, .flags = OMIT },
    { .name = "refresh_interval", .kind = F_DURATION, .flags = OMIT, .def = "1m" },
    { .name = "port", .kind = F_INT, .def = "80" },
    { .name = "tag_separator", .kind = F_STR, .flags = OMIT, .def = "," },
};
const struct section gce_sd = { .name = "gce.plain", FIELDS_OF(gce_fields), .check = gce_check };

static const struct field hetzner_fields[] = {
    HTTP_CLIENT_FIELDS("true"),
    { .name = "refresh_interval", .kind = F_DURATION, .def = "1m" },
    { .name = "port", .kind = F_INT, .def = "80" },
    { .name = "role", .kind = F_WORD, .word = hetzner_role_word },
    { .name = "label_selector", .kind = F_STR, .flags = OMIT },
};
const struct section hetzner_sd = {
    .name = "hetzner.plain", FIELDS_OF(hetzner_fields), .check = hetzner_check
};

static const struct field http_fields[] = {
    HTTP_CLIENT_FIELDS("true"),
    { .name = "refresh_interval", .kind = F_DURATION, .flags = OMIT, .def = "1m" },
    { .name = "url", .kind = F_STR },
};
const struct section http_sd = {
    .name = "http.plain", FIELDS_OF(http_fields), .check = http_check
};

static const struct field ionos_fields[] = {
    { .name = "datacenter_id", .kind = F_STR },
    HTTP_CLIENT_FIELDS("true"),
    { .name = "refresh_interval", .kind = F_DURATION, .def = "1m" },
    { .name = "port", .kind = F_INT, .def = "80" },
};
const struct section ionos_sd = {
    .name = "ionos.plain", FIELDS_OF(ionos_fields), .check = ionos_check
};

static const struct field kubernetes_fields[] = {
    { .name = "api_server", .kind = F_URL, .flags = OMIT, .word = url_word },
    { .name = "role", .kind = F_WORD, .word = kubernetes_role_word },
    { .name = "kubeconfig_file", .kind = F_STR, .flags = PATH },
    HTTP_CLIENT_FIELDS("true"),
    { .name = "namespaces",
        .kind = F_SECTION,
        .flags = OMIT,
        .sub = &kubernetes_namespaces_section },
    { .name = "selectors",
        .kind = F_SECTIONS,
        .flags = OMIT | LIST_OF_VALUES,
        .sub = &kubernetes_selector_section,
        .go_type = "[]kubernetes.SelectorConfig" },
    { .name = "attach_metadata",
        .kind = F_SECTION,
        .flags = OMIT,
        .sub = &kubernetes_attach_section },
};
const struct section kubernetes_sd = {
    .name = "kubernetes.plain", FIELDS_OF(kubernetes_fields), .check = kubernetes_check
};

static const struct field kuma_fields[] = {
    HTTP_CLIENT_FIELDS("true"),
    { .name = "refresh_interval", .kind = F_DURATION, .flags = OMIT, .def = "15s" },
    { .name = "fetch_timeout", .kind = F_DURATION, .flags = OMIT, .def = "2m" },
    { .name = "server", .kind = F_STR, .flags = OMIT },
    { .name = "client_id", .kind = F_STR, .flags = OMIT },
};
const struct section kuma_sd = {
    .name = "xds.plainKumaConf", FIELDS_OF(kuma_fields), .check = kuma_check
};

static const struct field lightsail_fields[] = {
    { .name = "endpoint", .kind = F_STR },
    { .name = "region", .kind = F_STR },
    { .name = "access_key", .kind = F_STR, .flags = OMIT },
    { .name = "secret_key", .kind = F_SECRET, .flags = OMIT, .go_type = "config.plain" },
    { .name = "profile", .kind = F_STR, .flags = OMIT },
    { .name = "role_arn", .kind = F_STR, .flags = OMIT },
    { .name = "external_id", .kind = F_STR, .flags = OMIT },
    { .name = "refresh_interval", .kind = F_DURATION, .flags = OMIT, .def = "1m" },
    { .name = "port", .kind = F_INT, .def = "80" },
    HTTP_CLIENT_FIELDS("true"),
};
const struct section lightsail_sd = {
    .name = "aws.plain", FIELDS_OF(lightsail_fields), .check = lightsail_check
};

static const struct field linode_fields[] = {
    HTTP_CLIENT_FIELDS("true"),
    { .name = "refresh_interval", .kind = F_DURATION, .def = "1m" },
    { .name = "port", .kind = F_INT, .def = "80" },
    { .name = "tag_separator", .kind = F_STR, .flags = OMIT, .def = "," },
    { .name = "region", .kind = F_STR, .flags = OMIT },
};
const struct section linode_sd = {
    .name = "linode.plain", FIELDS_OF(linode_fields), .check = linode_check
};

static const struct field marathon_fields[] = {
    { .name = "servers", .kind = F_STRS, .flags = OMIT },
    { .name = "refresh_interval", .kind = F_DURATION, .flags = OMIT, .def = "30s" },
    { .name = "auth_token", .kind = F_SECRET, .flags = OMIT, .go_type = "config.plain" },
    { .name = "auth_token_file", .kind = F_STR, .flags = OMIT | PATH },
    HTTP_CLIENT_FIELDS("true"),
};
const struct section marathon_sd = {
    .name = "marathon.plain", FIELDS_OF(marathon_fields), .check = marathon_check
};

static const struct field msk_fields[] = {
    { .name = "region", .kind = F_STR },
    { .name = "endpoint", .kind = F_STR },
    { .name = "access_key", .kind = F_STR, .flags = OMIT },
    { .name = "secret_key", .kind = F_SECRET, .flags = OMIT, .go_type = "config.plain" },
    { .name = "profile", .kind = F_STR, .flags = OMIT },
    { .name = "role_arn", .kind = F_STR, .flags = OMIT },
    { .name = "external_id", .kind = F_STR, .flags = OMIT },
    { .name = "clusters", .kind = F_STRS, .flags = OMIT },
    { .name = "port", .kind = F_INT, .def = "80" },
    { .name = "refresh_interval", .kind = F_DURATION, .flags = OMIT, .def = "1m" },
    { .name = "request_concurrency", .kind = F_INT, .flags = OMIT, .def = "10" },
    HTTP_CLIENT_FIELDS("true"),
};
const struct section msk_sd = { .name = "aws.plain", FIELDS_OF(msk_fields), .check = msk_check };

static const struct field nerve_fields[] = {
    { .name = "servers", .kind = F_STRS },
    { .name = "paths", .kind = F_STRS },
    { .name = "timeout", .kind = F_DURATION, .flags = OMIT, .def = "10s" },
};
const struct section nerve_sd = {
    .name = "zookeeper.plain", FIELDS_OF(nerve_fields), .check = nerve_check
};

static const struct field nomad_fields[] = {
    { .name = "allow_stale", .kind = F_BOOL, .def = "true" },
    HTTP_CLIENT_FIELDS("true"),
    { .name = "namespace", .kind = F_STR, .def = "default" },
    { .name = "refresh_interval", .kind = F_DURATION, .def = "1m" },
    { .name = "region", .kind = F_STR, .def = "global" },
    { .name = "server", .kind = F_STR, .def = "http://localhost:4646" },
    { .name = "tag_separator", .kind = F_STR, .flags = OMIT, .def = "," },
};
const struct section nomad_sd = {
    .name = "nomad.plain", FIELDS_OF(nomad_fields), .check = nomad_check
};

static const struct field oci_fields[] = {
    { .name = "auth", .kind = F_STR, .flags = OMIT, .def = "api_key" },
    { .name = "tenancy", .kind = F_STR, .flags = OMIT },
    { .name = "user", .kind = F_STR, .flags = OMIT },
    { .name = "fingerprint", .kind = F_STR, .flags = OMIT },
    { .name = "key_file", .kind = F_STR, .flags = OMIT | PATH },
    { .name = "key_passphrase", .kind = F_SECRET, .flags = OMIT, .go_type = "config.plain" },
    { .name = "key_passphrase_file", .kind = F_STR, .flags = OMIT | PATH },
    { .name = "region", .kind = F_STR },
    { .name = "compartments", .kind = F_STRS, .flags = OMIT },
    HTTP_CLIENT_FIELDS("true"),
    { .name = "port", .kind = F_INT, .def = "80" },
    { .name = "refresh_interval", .kind = F_DURATION, .def = "1m" },
};
const struct section oci_sd = { .name = "oci.plain", FIELDS_OF(oci_fields), .check = oci_check };

static const struct field openstack_fields[] = {
    { .name = "identity_endpoint", .kind = F_STR },
    { .name = "username", .kind = F_STR },
    { .name = "userid", .kind = F_STR },
    { .name = "password", .kind = F_SECRET, .go_type = "config.plain" },
    { .name = "project_name", .kind = F_STR },
    { .name = "project_id", .kind = F_STR },
    { .name = "domain_name", .kind = F_STR },
    { .name = "domain_id", .kind = F_STR },
    { .name = "application_credential_name", .kind = F_STR },
    { .name = "application_credential_id", .kind = F_STR },
    { .name = "application_credential_secret", .kind = F_SECRET, .go_type = "config.plain" },
    { .name = "role", .kind = F_WORD, .word = openstack_role_word },
    { .name = "region", .kind = F_STR },
    { .name = "refresh_interval", .kind = F_DURATION, .def = "1m" },
    { .name = "port", .kind = F_INT, .def = "80" },
    { .name = "all_tenants", .kind = F_BOOL, .flags = OMIT },
    { .name = "tls_config", .kind = F_SECTION, .flags = OMIT, .sub = &tls_section },
    { .name = "availability", .kind = F_STR, .flags = OMIT, .def = "public" },
};
const struct section openstack_sd = {
    .name = "openstack.plain", FIELDS_OF(openstack_fields), .check = openstack_check
};

static const struct field outscale_fields[] = {
    { .name = "endpoint", .kind = F_STR, .flags = OMIT },
    { .name = "region", .kind = F_STR, .def = "eu-west-2" },
    { .name = "access_key", .kind = F_STR },
    { .name = "secret_key", .kind = F_SECRET, .go_type = "config.plain" },
    { .name = "secret_key_file", .kind = F_STR },
    { .name = "refresh_interval", .kind = F_DURATION, .flags = OMIT, .def = "1m" },
    { .name = "port", .kind = F_INT, .def = "80" },
    HTTP_CLIENT_FIELDS("true"),
};
const struct section outscale_sd = {
    .name = "outscale.plain", FIELDS_OF(outscale_fields), .check = outscale_check
};

static const struct field ovhcloud_fields[] = {
    { .name = "endpoint", .kind = F_STR, .def = "ovh-eu" },
    { .name = "application_key", .kind = F_STR },
    { .name = "application_secret", .kind = F_SECRET, .go_type = "config.plain" },
    { .name = "consumer_key", .kind = F_SECRET, .go_type = "config.plain" },
    { .name = "refresh_interval", .kind = F_DURATION, .def = "1m" },
    { .name = "service", .kind = F_STR },
};
const struct section ovhcloud_sd = {
    .name = "ovhcloud.plain", FIELDS_OF(ovhcloud_fields), .check = ovhcloud_check
};

static const struct field puppetdb_fields[] = {
    HTTP_CLIENT_FIELDS("true"),
    { .name = "refresh_interval", .kind = F_DURATION, .flags = OMIT, .def = "1m" },
    { .name = "url", .kind = F_STR },
    { .name = "query", .kind = F_STR },
    { .name = "include_parameters", .kind = F_BOOL },
    { .name = "port", .kind = F_INT, .def = "80" },
};
const struct section puppetdb_sd = {
    .name = "puppetdb.plain", FIELDS_OF(puppetdb_fields), .check = puppetdb_check
};

static const struct field rds_fields[] = {
    { .name = "region", .kind = F_STR },
    { .name = "endpoint", .kind = F_STR },
    { .name = "access_key", .kind = F_STR, .flags = OMIT },
    { .name = "secret_key", .kind = F_SECRET, .flags = OMIT, .go_type = "config.plain" },
    { .name = "profile", .kind = F_STR, .flags = OMIT },
    { .name = "role_arn", .kind = F_STR, .flags = OMIT },
    { .name = "external_id", .kind = F_STR, .flags = OMIT },
    { .name = "clusters", .kind = F_STRS, .flags = OMIT },
    { .name = "port", .kind = F_INT, .def = "80" },
    { .name = "refresh_interval", .kind = F_DURATION, .flags = OMIT, .def = "1m" },
    { .name = "filters",
        .kind = F_SECTIONS,
        .sub = &aws_filter_section,
        .go_type = "[]*aws.Filter" },
    { .name = "request_concurrency", .kind = F_INT, .flags = OMIT, .def = "10" },
    HTTP_CLIENT_FIELDS("true"),
};
const struct section rds_sd = { .name = "aws.plain", FIELDS_OF(rds_fields), .check = rds_check };

static const struct field scaleway_fields[] = {
    { .name = "project_id", .kind = F_STR },
    { .name = "api_url", .kind = F_STR, .flags = OMIT, .def = "https://api.scaleway.com" },
    { .name = "zone", .kind = F_STR, .def = "fr-par-1" },
    { .name = "access_key", .kind = F_STR },
    { .name = "secret_key", .kind = F_SECRET, .go_type = "config.plain" },
    { .name = "secret_key_file", .kind = F_STR, .flags = PATH },
    { .name = "name_filter", .kind = F_STR, .flags = OMIT },
    { .name = "tags_filter", .kind = F_STRS, .flags = OMIT },
    HTTP_CLIENT_FIELDS("true"),
    { .name = "refresh_interval", .kind = F_DURATION, .def = "1m" },
    { .name = "port", .kind = F_INT, .def = "80" },
    { .name = "role", .kind = F_WORD, .word = scaleway_role_word },
};
const struct section scaleway_sd = {
    .name = "scaleway.plain", FIELDS_OF(scaleway_fields), .check = scaleway_check
};

static const struct field serverset_fields[] = {
    { .name = "servers", .kind = F_STRS },
    { .name = "paths", .kind = F_STRS },
    { .name = "timeout", .kind = F_DURATION, .flags = OMIT, .def = "10s" },
};
const struct section serverset_sd = {
    .name = "zookeeper.plain", FIELDS_OF(serverset_fields), .check = serverset_check
};

static const struct field stackit_fields[] = {
    HTTP_CLIENT_FIELDS("true"),
    { .name = "project", .kind = F_STR },
    { .name = "refresh_interval", .kind = F_DURATION, .flags = OMIT, .def = "1m" },
    { .name = "port", .kind = F_INT, .flags = OMIT, .def = "80" },
    { .name = "region", .kind = F_STR, .flags = OMIT, .def = "eu01" },
    { .name = "endpoint", .kind = F_STR, .flags = OMIT },
    { .name = "service_account_key", .kind = F_SECRET, .flags = OMIT, .go_type = "config.plain" },
    { .name = "private_key", .kind = F_SECRET, .flags = OMIT, .go_type = "config.plain" },
    { .name = "service_account_key_path", .kind = F_STR, .flags = OMIT },
    { .name = "private_key_path", .kind = F_STR, .flags = OMIT },
    { .name = "credentials_file_path", .kind = F_STR, .flags = OMIT },
};
const struct section stackit_sd = {
    .name = "stackit.plain", FIELDS_OF(stackit_fields), .check = stackit_check
};

static const struct field triton_fields[] = {
    { .name = "account", .kind = F_STR },
    { .name = "role", .kind = F_STR, .def = "container" },
    { .name = "dns_suffix", .kind = F_STR },
    { .name = "endpoint", .kind = F_STR },
    { .name = "groups", .kind = F_STRS, .flags = OMIT },
    { .name = "port", .kind = F_INT, .def = "9163" },
    { .name = "refresh_interval", .kind = F_DURATION, .flags = OMIT, .def = "1m" },
    { .name = "tls_config", .kind = F_SECTION, .flags = OMIT, .sub = &tls_section },
    { .name = "version", .kind = F_INT, .def = "1" },
};
const struct section triton_sd = {
    .name = "triton.plain", FIELDS_OF(triton_fields), .check = triton_check
};

static const struct field uyuni_fields[] = {
    { .name = "server", .kind = F_STR },
    { .name = "username", .kind = F_STR },
    { .name = "password", .kind = F_SECRET, .go_type = "config.plain" },
    HTTP_CLIENT_FIELDS("true"),
    { .name = "entitlement", .kind = F_STR, .flags = OMIT, .def = "monitoring_entitled" },
    { .name = "separator", .kind = F_STR, .flags = OMIT, .def = "," },
    { .name = "refresh_interval", .kind = F_DURATION, .flags = OMIT, .def = "1m" },
};
const struct section uyuni_sd = {
    .name = "uyuni.plain", FIELDS_OF(uyuni_fields), .check = uyuni_check
};

static const struct field vultr_fields[] = {
    HTTP_CLIENT_FIELDS("true"),
    { .name = "refresh_interval", .kind = F_DURATION, .def = "1m" },
    { .name = "port", .kind = F_INT, .def = "80" },
};
const struct section vultr_sd = {
    .name = "vultr.plain", FIELDS_OF(vultr_fields), .check = vultr_check
};
