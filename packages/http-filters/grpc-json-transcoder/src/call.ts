import type { DescMessage, DescMethod } from '@bufbuild/protobuf';
import type { Variable } from './bound-fields.ts';
import { type FieldPath, resolveFieldPath } from './field-path.ts';
import { HTTP_BODY } from './http-body.ts';
import type { HttpBinding } from './http-rule.ts';
import type { PathTemplate } from './path-template.ts';

/** One binding of a method, compiled: what a request that matches it calls, and how its parts become messages. */
export interface Call {
  /** `package.Service.Method` */
  readonly name: string;
  /** `/package.Service/Method` */
  readonly path: string;
  readonly input: DescMessage;
  readonly output: DescMessage;
  readonly clientStreaming: boolean;
  readonly serverStreaming: boolean;
  readonly variables: readonly Variable[];
  /** The field that the body of the request is; empty: the message. */
  readonly body: FieldPath;
  /** The body goes into a `google.api.HttpBody` as it comes, instead of being JSON. */
  readonly rawBody: boolean;
  /** The field that the body of the response is; empty: the message. */
  readonly responseBody: FieldPath;
  readonly rawResponseBody: boolean;
}

/** @throws Error for a body that is no field */
export function compileCall(method: DescMethod, binding: HttpBinding, template: PathTemplate): Call {
  const { input, output, methodKind, parent, name } = method;
  const body = bodyField(input, 'body', binding.body);
  const responseBody = bodyField(output, 'response_body', binding.responseBody);
  return {
    name: `${parent.typeName}.${name}`,
    path: `/${parent.typeName}/${name}`,
    input,
    output,
    clientStreaming: methodKind === 'client_streaming' || methodKind === 'bidi_streaming',
    serverStreaming: methodKind === 'server_streaming' || methodKind === 'bidi_streaming',
    variables: template.variables.map((variable) => ({
      ...variable,
      field: resolveFieldPath(input, variable.fieldPath),
    })),
    body,
    rawBody: isHttpBody(input, body),
    responseBody,
    rawResponseBody: isHttpBody(output, responseBody),
  };
}

function bodyField(message: DescMessage, option: string, path: string): FieldPath {
  if (path === '' || path === '*') return [];
  const found = resolveFieldPath(message, path.split('.'));
  if (typeof found === 'string') throw new Error(`${option} "${path}": ${found}`);
  const list = found.slice(0, -1).find(({ fieldKind }) => fieldKind === 'list');
  if (list !== undefined) throw new Error(`${option} "${path}": "${list.name}" is repeated`);
  return found;
}

function isHttpBody(message: DescMessage, path: FieldPath): boolean {
  const last = path.at(-1);
  const type = last === undefined ? message : last.message;
  return type?.typeName === HTTP_BODY && (last === undefined || last.fieldKind === 'message');
}
