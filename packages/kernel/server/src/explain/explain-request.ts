import {
  type AddressSchema,
  type FilterChain,
  HttpConnectionManagerSchema,
  type Listener,
  type MessageShape,
  unpackAnyAs,
} from '@dragoman/api';
import { Address, atPath, type ConnectionInfo, type FactoryContext, StreamInfo } from '@dragoman/core';
import { type AskedRequest, type ExplainHttpOptions, explainHttp, type Passed } from '@dragoman/http';
import { readBindTarget } from '../listener/addresses.ts';
import { FilterChainMatcher } from '../listener/filter-chain-match.ts';
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
    scheme: headers.scheme,
    authority: headers.authority,
    path: headers.path,
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
  const connection = connectionOf(parsed, localAddress(address));
  const chains = chainsOf(message);
  const { chain, passed: filterChainsPassed } = chooseChain(chains, message, connection);
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
      context: explainContext(options.context, message),
      clusterHosts: options.clusterHosts,
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
    notes.push(`the URL names no port and nothing listens on ${port}: the only listener is taken`);
    return { chosen: only, passed: [] };
  }
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

function connectionOf({ from, serverName, secure }: ParsedRequest, local: Address): ConnectionInfo {
  return {
    id: 1,
    localAddress: local,
    directRemoteAddress: from,
    remoteAddress: from,
    requestedServerName: serverName,
    applicationProtocols: secure ? ['http/1.1'] : [],
    transportProtocol: secure ? 'tls' : 'raw_buffer',
    tls: undefined,
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

function chainsOf({ filterChains }: Listener): PlacedChain[] {
  return filterChains.map((config, i) => ({ config, path: `filter_chains[${i}]` }));
}

function chooseChain(
  chains: readonly PlacedChain[],
  { defaultFilterChain }: Listener,
  connection: ConnectionInfo,
): { readonly chain: PlacedChain | undefined; readonly passed: readonly Passed[] } {
  const fallback =
    defaultFilterChain === undefined
      ? undefined
      : { config: defaultFilterChain, path: 'default_filter_chain' };
  const matcher = new FilterChainMatcher(
    chains.map((chain) => ({ match: chain.config.filterChainMatch, path: chain.path, chain })),
    fallback,
  );
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
