import { compileStringMatch, type StringMatch } from './string-matcher.ts';
import { DEFAULT_BUCKETS } from './histogram-statistics.ts';

/** `stats_config.stats_tags[]`: a fixed value, a regex of one's own, or (neither) a default extractor by its name. */
export interface TagSpecifier {
  readonly name: string;
  /** ECMAScript syntax, as in Envoy. The first group is removed from the name; the second, or else the first, is the value. */
  readonly regex?: string;
  readonly fixedValue?: string;
}

/** `stats_config.stats_matcher`. */
export type StatsMatcher =
  | { readonly rejectAll: boolean }
  | { readonly exclusionList: readonly StringMatch[] }
  | { readonly inclusionList: readonly StringMatch[] };

/** `stats_config` of the bootstrap as plain data: crosses threads as it is. */
export interface StatsOptions {
  /** Default none. */
  readonly tags?: readonly TagSpecifier[];
  /** Default true. */
  readonly useAllDefaultTags?: boolean;
  /** Default: everything is kept. */
  readonly matcher?: StatsMatcher;
  /** `histogram_bucket_settings`: the first that matches a histogram's name gives its bounds (ascending, above zero). */
  readonly histogramBuckets?: readonly { readonly match: StringMatch; readonly buckets: readonly number[] }[];
}

/** Whether `stats_matcher` lets a name through. @throws RegexSyntaxError, or an Error for an empty matcher */
export function compileStatsMatcher(matcher: StatsMatcher | undefined): (name: string) => boolean {
  if (matcher === undefined) return () => true;
  if ('rejectAll' in matcher) return () => !matcher.rejectAll;
  const include = 'inclusionList' in matcher;
  const list = include ? matcher.inclusionList : matcher.exclusionList;
  const matches = list.map((match) => compileStringMatch(match));
  return (name) => matches.some((match) => match(name)) === include;
}

/** The bucket bounds of a histogram by its name. */
export function compileBuckets(
  settings: StatsOptions['histogramBuckets'],
): (name: string) => readonly number[] {
  const rules = (settings ?? []).map(({ match, buckets }) => ({
    matches: compileStringMatch(match),
    buckets: [...buckets].sort((a, b) => a - b),
  }));
  return (name) => rules.find((rule) => rule.matches(name))?.buckets ?? DEFAULT_BUCKETS;
}
