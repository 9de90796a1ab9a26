export { type CompiledRegex, compileRegex } from './compile.ts';
export { RegexSyntaxError } from './syntax-error.ts';
