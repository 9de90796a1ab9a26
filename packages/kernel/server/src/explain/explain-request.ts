import {
  type AddressSchema,
  type FilterChain,
  anyTypeName,
  HttpConnectionManagerSchema,
  type Listener,
  type MessageShape,
  unpackAnyAs,
} from '@dragoman/api';
import { Address, atPath, type ConnectionInfo, type FactoryContext, StreamInfo } from '@dragoman/core';
import { type AskedRequest, type ExplainHttpOptions, explainHttp, type Passed } from '@dragoman/http';
import { utf8Text } from '@dragoman/matching';
import { readBindTarget } from '../listener/addresses.ts';
import { FilterChainMatcher } from '../listener/filter-chain-match.ts';
import { FilterChainTree } from '../listener/filter-chain-tree.ts';
import type { ExplainedRequest, Explanation } from './explanation.ts';
import { explainContext } from './explain-context.ts';
import { ExplainUsageError, type ParsedRequest, parseRequest } from './request-line.ts';
import { verdictOf } from './verdict.ts';

/** A listener as the configuration has it. */
export interface ExplainedListener {
  readonly name: string;
  /** Where it stands in the configuration. */
  readonly path: string;
  readonly message: Listener;
  /** Where it listens, ports resolved; default: as in the message. */
  readonly addresses?: readonly Address[];
}

export interface ExplainOptions {
  readonly context: FactoryContext;
  readonly clusterHosts: ExplainHttpOptions['clusterHosts'];
  /** Keeps what was compiled for the next request; default: nothing is kept. */
  readonly managers?: ExplainHttpOptions['managers'];
}

/**
 * Where a request goes and why: listener, filter chain, connection manager, routes. Nothing is sent, counted or logged.
 * @throws ExplainUsageError for a request that cannot be read, or of which the listener cannot be told
 * @throws ConfigError with every problem of the listener's configuration
 */
export function explainRequest(
  listeners: readonly ExplainedListener[],
  request: ExplainedRequest,
  options: ExplainOptions,
): Explanation {
  const parsed = parseRequest(request);
  const { headers, from, serverName, secure } = parsed;
  const notes: string[] = [];
  const about = {
    method: headers.method,
    scheme: secure ? 'https' : 'http',
    authority: utf8Text(headers.authority),
    path: utf8Text(headers.path),
    from: from.text,
    serverName,
  };
  const { chosen, passed: listenersPassed } = chooseListener(listeners, request.listener, parsed, notes);
  const nothing = { filterChain: undefined, filterChainsPassed: [], http: undefined, notes };
  if (chosen === undefined) {
    const partial = { request: about, listener: undefined, listenersPassed, ...nothing };
    return { ...partial, verdict: verdictOf(partial) };
  }
  const { message } = chosen;
  const address = addressesOf(chosen)[0] as Address;
  const listener = { name: chosen.name, path: chosen.path, address: address.text };
  const connection = connectionOf(parsed, localAddress(address), inspectsTls(message));
  if (secure && connection.transportProtocol === 'raw_buffer' && choosesByTls(message))
    notes.push('the listener has no tls_inspector: filter chains are chosen without looking at TLS');
  const context = explainContext(options.context, message);
  const { chain, passed: filterChainsPassed } = chooseChain(message, connection, context);
  const base = { request: about, listener, listenersPassed, filterChainsPassed };
  if (chain === undefined) {
    const partial = { ...base, ...nothing, filterChainsPassed };
    return { ...partial, verdict: verdictOf(partial) };
  }
  const filterChain = { name: chain.config.name, path: `${chosen.path}.${chain.path}` };
  const manager = managerOf(chain.config);
  if (manager === undefined) {
    const last = chain.config.filters.at(-1)?.name ?? 'no filter';
    notes.push(`the filter chain has no HTTP connection manager: ${last} takes the bytes as they come`);
    const partial = { ...base, ...nothing, filterChain };
    return { ...partial, verdict: verdictOf(partial) };
  }
  if (secure && chain.config.transportSocket === undefined) {
    notes.push('the filter chain does not speak TLS: taken as if a proxy before this one had ended it');
    if (!headers.has('x-forwarded-proto')) headers.append('x-forwarded-proto', 'https');
  }
  const asked: AskedRequest = {
    headers,
    info: new StreamInfo(connection, 0, 0),
    random: request.random ?? 0,
  };
  asked.info.protocol = 'HTTP/1.1';
  const http = atPath(`${filterChain.path}.filters[${manager.index}].typed_config`, () =>
    explainHttp(manager.config, asked, {
      context,
      clusterHosts: options.clusterHosts,
      managers: options.managers,
    }),
  );
  const partial = { ...base, filterChain, http, notes };
  return { ...partial, verdict: verdictOf(partial) };
}

interface Chosen<T> {
  readonly chosen: T | undefined;
  readonly passed: readonly Passed[];
}

function chooseListener(
  listeners: readonly ExplainedListener[],
  name: string | undefined,
  { port, portGiven }: ParsedRequest,
  notes: string[],
): Chosen<ExplainedListener> {
  if (name !== undefined) {
    const chosen = listeners.find((listener) => listener.name === name);
    if (chosen !== undefined) return { chosen, passed: [] };
    const names = listeners.map((listener) => `"${listener.name}"`).join(', ');
    throw new ExplainUsageError(`there is no listener "${name}"; there are ${names === '' ? 'none' : names}`);
  }
  const passed: Passed[] = [];
  let chosen: ExplainedListener | undefined;
  for (const listener of listeners) {
    const addresses = addressesOf(listener);
    if (chosen === undefined && addresses.some((address) => address.port === port)) chosen = listener;
    else if (chosen === undefined)
      passed.push({
        path: listener.path,
        name: listener.name,
        why: `it listens on ${addresses.map(({ text }) => text).join(' and ')}, not on port ${port}`,
      });
  }
  if (chosen !== undefined || portGiven) return { chosen, passed };
  const [only, ...others] = listeners;
  if (only !== undefined && others.length === 0) {
    if (port !== undefined)
      notes.push(`the URL names no port and nothing listens on ${port}: the only listener is taken`);
    return { chosen: only, passed: [] };
  }
  if (port === undefined)
    throw new ExplainUsageError('a CONNECT does not say which listener it comes to: name the listener');
  return { chosen: undefined, passed };
}

function addressesOf({ message, addresses }: ExplainedListener): readonly Address[] {
  if (addresses !== undefined) return addresses;
  const all: (MessageShape<typeof AddressSchema> | undefined)[] = [
    message.address,
    ...message.additionalAddresses.map(({ address }) => address),
  ];
  return all.map((address) => atPath('address', () => readBindTarget(address).address));
}

/** What a client's connection is made to: a wildcard address is none that one can connect to. */
function localAddress(address: Address): Address {
  if (address.ip === '0.0.0.0') return Address.ip('127.0.0.1', address.port);
  if (address.ip === '::') return Address.ip('::1', address.port);
  return address;
}

/** Without it nobody knows of TLS when the filter chain is chosen. */
function inspectsTls({ listenerFilters }: Listener): boolean {
  return listenerFilters.some(
    ({ configType }) =>
      configType.case === 'typedConfig' && anyTypeName(configType.value).includes('.tls_inspector.'),
  );
}

/** Whether what TLS says could decide between filter chains. */
function choosesByTls({ filterChains, filterChainMatcher }: Listener): boolean {
  return (
    filterChainMatcher !== undefined ||
    filterChains.some(({ filterChainMatch: match }) => {
      if (match === undefined) return false;
      const { serverNames, applicationProtocols, transportProtocol } = match;
      return serverNames.length > 0 || applicationProtocols.length > 0 || transportProtocol !== '';
    })
  );
}

/** @param inspected the listener looks at TLS before it chooses the filter chain */
function connectionOf(
  { from, serverName, secure }: ParsedRequest,
  local: Address,
  inspected: boolean,
): ConnectionInfo {
  const tls = secure && inspected;
  return {
    id: 1,
    localAddress: local,
    directRemoteAddress: from,
    remoteAddress: from,
    requestedServerName: tls ? serverName : '',
    applicationProtocols: tls ? ['http/1.1'] : [],
    transportProtocol: tls ? 'tls' : 'raw_buffer',
    tls: undefined,
    negotiatedProtocol: '',
    handshakeComplete: 0,
    startTime: 0,
    transportFailureReason: '',
    terminationDetails: '',
  };
}

interface PlacedChain {
  readonly config: FilterChain;
  /** Below the listener. */
  readonly path: string;
}

interface ChosenChain {
  /** Undefined: the connection is closed. */
  readonly chain: PlacedChain | undefined;
  readonly passed: readonly Passed[];
}

function chooseChain(
  { filterChains, filterChainMatcher, defaultFilterChain }: Listener,
  connection: ConnectionInfo,
  context: FactoryContext,
): ChosenChain {
  const chains = filterChains.map((config, i) => {
    const path = `filter_chains[${i}]`;
    return { name: config.name, match: config.filterChainMatch, path, chain: { config, path } };
  });
  const fallback =
    defaultFilterChain === undefined
      ? undefined
      : { config: defaultFilterChain, path: 'default_filter_chain' };
  if (filterChainMatcher !== undefined) {
    const chain = new FilterChainTree(filterChainMatcher, chains, fallback, context).find(
      connection,
      undefined,
    );
    const passed = chains
      .filter((each) => each.chain !== chain)
      .map(({ name, path }) => ({ path, name, why: 'the filter_chain_matcher comes to another' }));
    return { chain, passed };
  }
  const matcher = new FilterChainMatcher<PlacedChain>(chains, fallback);
  const passed = matcher.passed(connection).map(({ chain, field, fits }) => ({
    path: chain.path,
    name: chain.config.name,
    why: fits
      ? `another chain is more specific in ${field}`
      : `its filter_chain_match.${field} does not fit the connection`,
  }));
  return { chain: matcher.find(connection), passed };
}

function managerOf(chain: FilterChain) {
  for (const [index, { configType }] of chain.filters.entries()) {
    if (configType.case !== 'typedConfig') continue;
    const config = unpackAnyAs(configType.value, HttpConnectionManagerSchema);
    if (config !== undefined) return { index, config };
  }
  return undefined;
}
