import type { StatsConfig, StringMatcher } from '@dragoman/api';
import { ConfigError } from '@dragoman/core';
import type { StatsMatcher, StatsOptions, StringMatch, TagSpecifier } from '@dragoman/stats';

/** `stats_config` as the stats package takes it. @throws ConfigError with paths below `stats_config` */
export function readStatsOptions(
  config: StatsConfig | undefined,
  fixedTags: readonly { name: string; value: string }[],
): StatsOptions {
  const fixed: TagSpecifier[] = fixedTags.map(({ name, value }) => ({ name, fixedValue: value }));
  if (config === undefined) return { tags: fixed };
  const matcher = readMatcher(config);
  return {
    tags: [...fixed, ...config.statsTags.map(readTag)],
    ...(config.useAllDefaultTags === undefined ? {} : { useAllDefaultTags: config.useAllDefaultTags }),
    ...(matcher === undefined ? {} : { matcher }),
    histogramBuckets: config.histogramBucketSettings.map(({ match, buckets }, i) => {
      if (buckets.length === 0) {
        throw ConfigError.at(`histogram_bucket_settings[${i}].buckets`, 'at least one bucket is required');
      }
      return { match: readMatch(match, `histogram_bucket_settings[${i}].match`), buckets };
    }),
  };
}

function readTag(tag: StatsConfig['statsTags'][number]): TagSpecifier {
  const { tagName: name, tagValue } = tag;
  if (tagValue.case === 'regex') return tagValue.value === '' ? { name } : { name, regex: tagValue.value };
  return tagValue.case === 'fixedValue' ? { name, fixedValue: tagValue.value } : { name };
}

function readMatcher(config: StatsConfig): StatsMatcher | undefined {
  const matcher = config.statsMatcher?.statsMatcher;
  switch (matcher?.case) {
    case 'rejectAll':
      return { rejectAll: matcher.value };
    case 'exclusionList':
      return {
        exclusionList: matcher.value.patterns.map((match, i) =>
          readMatch(match, `stats_matcher.exclusion_list.patterns[${i}]`),
        ),
      };
    case 'inclusionList':
      return {
        inclusionList: matcher.value.patterns.map((match, i) =>
          readMatch(match, `stats_matcher.inclusion_list.patterns[${i}]`),
        ),
      };
    default:
      return undefined;
  }
}

function readMatch(matcher: StringMatcher | undefined, path: string): StringMatch {
  const pattern = matcher?.matchPattern;
  const ignoreCase = matcher?.ignoreCase ?? false;
  switch (pattern?.case) {
    case 'exact':
      return { exact: pattern.value, ignoreCase };
    case 'prefix':
      return { prefix: pattern.value, ignoreCase };
    case 'suffix':
      return { suffix: pattern.value, ignoreCase };
    case 'contains':
      return { contains: pattern.value, ignoreCase };
    case 'safeRegex':
      return { regex: pattern.value.regex };
    default:
      throw ConfigError.at(path, 'a match is required: exact, prefix, suffix, contains or safe_regex');
  }
}
