export { uriTemplateMatcher, uriTemplateRewriter } from './policies.ts';
