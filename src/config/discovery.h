/* discovery.h — the checks of service discovery sections.
 *
 * What        What Prometheus asks of each kind of discovery beyond the types of its fields.
 * Invariants  none
 * Ownership   none
 * Threads     pure
 * Errors      ERR_BAD_INPUT with Prometheus' words
 * Format      none
 */
#ifndef EPI_CONFIG_DISCOVERY_H
#define EPI_CONFIG_DISCOVERY_H

#include "config/schema.h"

#define SD_CHECK(kind) errc kind##_check(struct load *l, struct value *v, struct err *e)
#define SD_ROLE(kind) errc kind##_role_word(struct load *l, str *s, struct err *e)
SD_CHECK(aws);
SD_CHECK(azure);
SD_CHECK(consul);
SD_CHECK(digitalocean);
SD_CHECK(dns);
SD_CHECK(docker);
SD_CHECK(dockerswarm);
SD_CHECK(ec2);
SD_CHECK(ecs);
SD_CHECK(elasticache);
SD_CHECK(eureka);
SD_CHECK(file);
SD_CHECK(gce);
SD_CHECK(hetzner);
SD_CHECK(http);
SD_CHECK(ionos);
SD_CHECK(kubernetes);
SD_CHECK(kuma);
SD_CHECK(lightsail);
SD_CHECK(linode);
SD_CHECK(marathon);
SD_CHECK(msk);
SD_CHECK(nerve);
SD_CHECK(nomad);
SD_CHECK(oci);
SD_CHECK(openstack);
SD_CHECK(outscale);
SD_CHECK(ovhcloud);
SD_CHECK(puppetdb);
SD_CHECK(rds);
SD_CHECK(scaleway);
SD_CHECK(serverset);
SD_CHECK(stackit);
SD_CHECK(triton);
SD_CHECK(uyuni);
SD_CHECK(vultr);
SD_ROLE(aws);
SD_ROLE(digitalocean);
SD_ROLE(hetzner);
SD_ROLE(kubernetes);
SD_ROLE(openstack);
SD_ROLE(scaleway);

#endif
