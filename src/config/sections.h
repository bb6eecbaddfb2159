/* sections.h — the tables of the configuration's sections.
 *
 * What        What each section may hold, and the checks that Prometheus makes when it reads it.
 * Invariants  the order of fields is the order of printing
 * Ownership   static tables
 * Threads     const
 * Errors      ERR_BAD_INPUT with Prometheus' words
 * Format      docs: configuration reference
 */
#ifndef EPI_CONFIG_SECTIONS_H
#define EPI_CONFIG_SECTIONS_H

#include "config/schema.h"

extern const struct section root_section, scrape_files_section;
extern const struct section global_section, scrape_section, alerting_section, remote_write_section,
    remote_read_section;
extern const struct section basic_auth_section, authorization_section, oauth2_section, tls_section,
    header_section, sigv4_section;
extern const struct section static_section, relabel_section;
extern const struct field relabel_list;        /* a list of rules */

/* The HTTP client block stands among the fields of whoever speaks HTTP. http2: the default of
 * enable_http2. */
#define HTTP_CLIENT_FIELDS(http2) \
    { "basic_auth", F_SECTION_PTR, OMIT, NULL, &basic_auth_section, NULL, NULL }, \
    { "authorization", F_SECTION_PTR, OMIT, NULL, &authorization_section, NULL, NULL }, \
    { "oauth2", F_SECTION_PTR, OMIT, NULL, &oauth2_section, NULL, NULL }, \
    { "bearer_token", F_SECRET, OMIT, NULL, NULL, "config.plain", NULL }, \
    { "bearer_token_file", F_STR, OMIT | PATH, NULL, NULL, NULL, NULL }, \
    { "tls_config", F_SECTION, OMIT, NULL, &tls_section, NULL, NULL }, \
    { "follow_redirects", F_BOOL, 0, "true", NULL, NULL, NULL }, \
    { "enable_http2", F_BOOL, 0, http2, NULL, NULL, NULL }, \
    PROXY_FIELDS, \
    { "http_headers", F_SECTION_MAP, OMIT, NULL, &header_section, "config.Headers", NULL }
#define PROXY_FIELDS \
    { "proxy_url", F_URL, OMIT, NULL, NULL, NULL, url_word }, \
    { "no_proxy", F_STR, OMIT, NULL, NULL, NULL, NULL }, \
    { "proxy_from_environment", F_BOOL, OMIT, NULL, NULL, NULL, NULL }, \
    { "proxy_connect_header", F_STRS_MAP, OMIT | HIDDEN, NULL, NULL, "config.ProxyHeader", NULL }

/* A field that is a list of relabel rules. */
#define RELABEL_FIELD(name_)                                                                       \
    {                                                                                              \
        name_, F_SECTIONS, OMIT, NULL, &relabel_section, "[]*relabel.Config", NULL                 \
    }

/* Fields of service discovery, by name; SD_COUNT of them, static_configs and file_sd_configs
 * included. */
#define SD_FIELD(prefix, sub, go)                                                                  \
    {                                                                                              \
        prefix "_sd_configs", F_SECTIONS, OMIT, NULL, sub, "[]*" go, NULL                          \
    }
extern const struct section aws_sd, azure_sd, consul_sd, digitalocean_sd, dns_sd, docker_sd,
    dockerswarm_sd, ec2_sd, ecs_sd, elasticache_sd, eureka_sd, file_sd, gce_sd, hetzner_sd, http_sd,
    ionos_sd, kubernetes_sd, kuma_sd, lightsail_sd, linode_sd, marathon_sd, msk_sd, nerve_sd,
    nomad_sd, oci_sd, openstack_sd, outscale_sd, ovhcloud_sd, puppetdb_sd, rds_sd, scaleway_sd,
    serverset_sd, stackit_sd, triton_sd, uyuni_sd, vultr_sd;
#define SD_FIELDS                                                                                  \
    SD_FIELD("aws", &aws_sd, "aws.SDConfig"), SD_FIELD("azure", &azure_sd, "azure.SDConfig"),      \
        SD_FIELD("consul", &consul_sd, "consul.SDConfig"),                                         \
        SD_FIELD("digitalocean", &digitalocean_sd, "digitalocean.SDConfig"),                       \
        SD_FIELD("dns", &dns_sd, "dns.SDConfig"),                                                  \
        SD_FIELD("docker", &docker_sd, "moby.DockerSDConfig"),                                     \
        SD_FIELD("dockerswarm", &dockerswarm_sd, "moby.DockerSwarmSDConfig"),                      \
        SD_FIELD("ec2", &ec2_sd, "aws.EC2SDConfig"), SD_FIELD("ecs", &ecs_sd, "aws.ECSSDConfig"),  \
        SD_FIELD("elasticache", &elasticache_sd, "aws.ElasticacheSDConfig"),                       \
        SD_FIELD("eureka", &eureka_sd, "eureka.SDConfig"),                                         \
        SD_FIELD("file", &file_sd, "file.SDConfig"), SD_FIELD("gce", &gce_sd, "gce.SDConfig"),     \
        SD_FIELD("hetzner", &hetzner_sd, "hetzner.SDConfig"),                                      \
        SD_FIELD("http", &http_sd, "http.SDConfig"),                                               \
        SD_FIELD("ionos", &ionos_sd, "ionos.SDConfig"),                                            \
        SD_FIELD("kubernetes", &kubernetes_sd, "kubernetes.SDConfig"),                             \
        SD_FIELD("kuma", &kuma_sd, "xds.KumaSDConfig"),                                            \
        SD_FIELD("lightsail", &lightsail_sd, "aws.LightsailSDConfig"),                             \
        SD_FIELD("linode", &linode_sd, "linode.SDConfig"),                                         \
        SD_FIELD("marathon", &marathon_sd, "marathon.SDConfig"),                                   \
        SD_FIELD("msk", &msk_sd, "aws.MSKSDConfig"),                                               \
        SD_FIELD("nerve", &nerve_sd, "zookeeper.NerveSDConfig"),                                   \
        SD_FIELD("nomad", &nomad_sd, "nomad.SDConfig"), SD_FIELD("oci", &oci_sd, "oci.SDConfig"),  \
        SD_FIELD("openstack", &openstack_sd, "openstack.SDConfig"),                                \
        SD_FIELD("outscale", &outscale_sd, "outscale.SDConfig"),                                   \
        SD_FIELD("ovhcloud", &ovhcloud_sd, "ovhcloud.SDConfig"),                                   \
        SD_FIELD("puppetdb", &puppetdb_sd, "puppetdb.SDConfig"),                                   \
        SD_FIELD("rds", &rds_sd, "aws.RDSSDConfig"),                                               \
        SD_FIELD("scaleway", &scaleway_sd, "scaleway.SDConfig"),                                   \
        SD_FIELD("serverset", &serverset_sd, "zookeeper.ServersetSDConfig"),                       \
        SD_FIELD("stackit", &stackit_sd, "stackit.SDConfig"),                                      \
        { "static_configs", F_SECTIONS, OMIT, NULL, &static_section, "[]*targetgroup.Group",       \
            NULL },                                                                                \
        SD_FIELD("triton", &triton_sd, "triton.SDConfig"),                                         \
        SD_FIELD("uyuni", &uyuni_sd, "uyuni.SDConfig"),                                            \
        SD_FIELD("vultr", &vultr_sd, "vultr.SDConfig")

MUST_USE errc url_word(struct load *l, str *s, struct err *e); /* checks, and hides a password */
/* Scheme and host of an absolute URL; the words are those of Go's net/url. */
MUST_USE errc url_parts(str url, str *scheme, str *host, struct err *e);
MUST_USE errc http_client_check(struct load *l, struct value *v, struct err *e);
/* ERR_BAD_INPUT: before "quoted"after */
errc quoted_fail(struct err *e, const char *before, str quoted, const char *after);

MUST_USE errc protocols_check(const struct value *list, struct err *e);
/* the default list, with or without protobuf before the others */
void protocols_put(struct load *l, struct value *list, bool protobuf);

/* Of whoever has SD_FIELDS and relabel_configs: no list of discoveries holds a null, */
MUST_USE errc sd_no_null(const struct value *v, struct err *e);
/* targets that no rule will change are host and port, and no rule is null (else: words). */
MUST_USE errc sd_rules_check(const struct value *v, const char *words, struct err *e);
/* Headers that are ours to set; authorization: what is said of that one. */
MUST_USE errc remote_headers_check(
    const struct value *headers, const char *authorization, struct err *e);

MUST_USE errc rules_no_null(const struct value *list, const char *words, struct err *e);
/* relabel rules of a list of values; compiled. The scheme decides which label names are valid. */
MUST_USE errc rules_check(const struct value *list, bool legacy_names, struct err *e);
MUST_USE errc rules_of(struct load *l, const struct value *list, bool legacy_names,
    struct relabel_rules *out, struct err *e);

#endif
