import { UriTemplateMatchConfigSchema, UriTemplateRewriteConfigSchema } from '@dragoman/api';
import {
  atPath,
  type CompiledRegex,
  ConfigError,
  compileRegex,
  definePathMatcher,
  definePathRewriter,
  type PathMatcher,
  type PathRewriter,
} from '@dragoman/core';
import { type ParsedTemplate, parseRewrite, parseTemplate, type RewritePart } from './template.ts';

const MATCHER = 'envoy.path.match.uri_template.uri_template_matcher';
const REWRITER = 'envoy.path.rewrite.uri_template.uri_template_rewriter';

/** `path_match_policy` by a template: `/videos/{id}`. */
export const uriTemplateMatcher = definePathMatcher({
  name: MATCHER,
  config: UriTemplateMatchConfigSchema,
  create: (config) =>
    new UriTemplateMatcher(
      config.pathTemplate,
      atPath('path_template', () => parseTemplate(config.pathTemplate)),
    ),
});

/** `path_rewrite_policy` that builds the new path from the variables of a {@link uriTemplateMatcher}. */
export const uriTemplateRewriter = definePathRewriter({
  name: REWRITER,
  config: UriTemplateRewriteConfigSchema,
  create: (config, matcher) => {
    const { pattern, variables } = templateOf(matcher);
    return new UriTemplateRewriter(
      compileRegex(`^${pattern}$`),
      atPath('path_template_rewrite', () => parseRewrite(config.pathTemplateRewrite, variables)),
    );
  },
});

class UriTemplateMatcher implements PathMatcher {
  readonly name = MATCHER;
  readonly template: string;
  readonly pattern: string;
  readonly variables: readonly string[];
  private readonly regex: CompiledRegex;

  constructor(template: string, { pattern, variables }: ParsedTemplate) {
    this.template = template;
    this.pattern = pattern;
    this.variables = variables;
    this.regex = compileRegex(pattern);
  }

  match(path: string): boolean {
    return this.regex.fullMatch(path);
  }
}

/** @throws ConfigError when the route has no template */
function templateOf(matcher: PathMatcher | undefined): UriTemplateMatcher {
  if (matcher === undefined)
    throw ConfigError.at('', `${REWRITER} needs a path_match_policy of ${MATCHER} in the route's match`);
  if (!(matcher instanceof UriTemplateMatcher))
    throw ConfigError.at(
      '',
      `${REWRITER} works with ${MATCHER} only, the route's path_match_policy is ${matcher.name}`,
    );
  return matcher;
}

class UriTemplateRewriter implements PathRewriter {
  private readonly regex: CompiledRegex;
  private readonly parts: readonly RewritePart[];

  constructor(regex: CompiledRegex, parts: readonly RewritePart[]) {
    this.regex = regex;
    this.parts = parts;
  }

  /** A path that a filter has changed since may not fit the template any more. */
  rewrite(path: string): string | undefined {
    const captures = this.regex.captures(path);
    if (captures === undefined) return undefined;
    let result = '';
    for (const part of this.parts) result += typeof part === 'string' ? part : (captures[part + 1] ?? '');
    return result;
  }
}
