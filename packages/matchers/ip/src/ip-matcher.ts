import { isIP } from 'node:net';
import { IpSchema } from '@dragoman/api';
import { atPath, ConfigError, defineValueMatcher } from '@dragoman/core';
import { addRanges, CidrTable } from '@dragoman/client-address';

/** An IP address in one of some networks. A text that is no address is counted. */
export const ipMatcher = defineValueMatcher({
  name: 'envoy.matching.matchers.ip',
  config: IpSchema,
  create({ cidrRanges, statPrefix }, context) {
    if (cidrRanges.length === 0) throw ConfigError.at('cidr_ranges', 'needs one range at least');
    if (statPrefix === '') throw ConfigError.at('stat_prefix', 'is required');
    const table = new CidrTable<true>();
    atPath('cidr_ranges', () => addRanges(table, cidrRanges, true));
    const failed = context.stats.counter(`${statPrefix.replace(/\.$/, '')}.ip_parsing_failed`);
    return {
      takes: 'text',
      matches(value) {
        if (typeof value !== 'string' || value === '') return false;
        if (isIP(value) !== 0) return table.has(value);
        failed.inc();
        return false;
      },
    };
  },
});
