import { hash } from 'node:crypto';
import {
  create,
  type DiscoveryRequest,
  type DiscoveryResponse,
  DiscoveryResponseSchema,
  type Node,
} from '@dragoman/api';
import type { XdsCache } from './cache.ts';
import { XdsError } from './errors.ts';
import type { XdsLimits } from './limits.ts';
import type { XdsResource } from './resource.ts';
import { checkLength, checkNames } from './type-state.ts';

/**
 * Answers one request on its own, for REST and the unary calls. The version is that of the cache; for named resources
 * with the names worked in, because the next request may name others.
 *
 * @throws XdsError when the request is not right, or nothing is known for the node
 */
export function fetchOnce(
  request: DiscoveryRequest,
  typeUrl: string,
  cache: XdsCache,
  limits: XdsLimits,
): DiscoveryResponse {
  const { node, resourceNames, resourceLocators } = request;
  if (node === undefined)
    throw new XdsError('INVALID_ARGUMENT', 'a request has to say which node it is from');
  if (request.typeUrl !== '' && request.typeUrl !== typeUrl)
    throw new XdsError('INVALID_ARGUMENT', `this service has resources of type ${typeUrl} only`);
  if (resourceLocators.length > 0)
    throw new XdsError('UNIMPLEMENTED', 'resource locators are not supported, use resource names');
  checkLength(node.id, 'the node id', limits);
  checkNames(resourceNames, limits);
  const wildcard = resourceNames.length === 0 || resourceNames.includes('*');
  const names = new Set(resourceNames);
  names.delete('*');
  return answerFor({ node, typeUrl, wildcard, names }, cache);
}

function answerFor(
  {
    node,
    typeUrl,
    wildcard,
    names,
  }: { node: Node; typeUrl: string; wildcard: boolean; names: ReadonlySet<string> },
  cache: XdsCache,
): DiscoveryResponse {
  const subscription = cache.open({ node, typeUrl, wake() {} });
  try {
    subscription?.setInterest({ wildcard, names, added: [...names], removed: [] });
    const view = subscription?.view();
    if (view === undefined)
      throw new XdsError('NOT_FOUND', `there is nothing of type ${typeUrl} for this node yet`);
    const found = new Set<XdsResource>(wildcard ? view.all() : []);
    if (!wildcard) for (const name of names) for (const one of view.find(name)) found.add(one);
    const digest = wildcard
      ? ''
      : `-${hash('sha256', JSON.stringify([...names].sort()), 'hex').slice(0, NAME_DIGITS)}`;
    const resources = [...found].map(({ any }) => any);
    return create(DiscoveryResponseSchema, { versionInfo: `${view.version}${digest}`, typeUrl, resources });
  } finally {
    subscription?.close();
  }
}

const NAME_DIGITS = 12;
