import {
  anyTypeName,
  type HttpConnectionManager,
  HttpConnectionManager_ForwardClientCertConfigSchema as ActionSchema,
  HttpConnectionManager_ForwardClientCertDetails as Forward,
  type HttpConnectionManager_SetCurrentClientCertDetails as Details,
  HttpConnectionManager_SetCurrentClientCertDetailsSchema as DetailsSchema,
  unpackAnyAs,
} from '@dragoman/api';
import {
  atPath,
  ConfigError,
  type ListenerFactoryContext,
  NOT_AVAILABLE,
  refuseUnsupported,
} from '@dragoman/core';
import { compileMatchTree, httpMatchResolver, type NamedExtension } from '@dragoman/matching';
import { type ChooseClientCertPolicy, ClientCertPolicy, type ForwardClientCert } from '../headers/index.ts';

const POLICIES: Readonly<Record<Forward, ForwardClientCert>> = {
  [Forward.SANITIZE]: 'sanitize',
  [Forward.FORWARD_ONLY]: 'forward-only',
  [Forward.APPEND_FORWARD]: 'append-forward',
  [Forward.SANITIZE_SET]: 'sanitize-set',
  [Forward.ALWAYS_FORWARD_ONLY]: 'always-forward-only',
};
const DETAILS = new Set(['subject', 'cert', 'chain', 'dns', 'uri', 'issuer']);
const REASONS = { format: 'JSON is not built: elements are written as text; remove format' };
const IDLE =
  'has no effect: only with APPEND_FORWARD and SANITIZE_SET is something said of the client certificate';

/** The parts of a connection manager's config about `x-forwarded-client-cert`, compiled. */
export interface ClientCertRules {
  readonly clientCert: ClientCertPolicy;
  /** `forward_client_cert_matcher`. */
  readonly chooseClientCert: ChooseClientCertPolicy | undefined;
}

/** @throws ConfigError with paths below the connection manager */
export function compileClientCertRules(
  config: HttpConnectionManager,
  context: ListenerFactoryContext,
): ClientCertRules {
  const warn = (field: string) => context.warn(`http_connection_manager.${field}`, IDLE);
  return {
    clientCert: compilePolicy(config.forwardClientCertDetails, config.setCurrentClientCertDetails, warn),
    chooseClientCert: atPath('forward_client_cert_matcher', () => compileMatcher(config, context, warn)),
  };
}

function compilePolicy(
  forward: Forward,
  details: Details | undefined,
  warn: (field: string) => void,
): ClientCertPolicy {
  const field = 'set_current_client_cert_details';
  const policy = POLICIES[forward];
  if (details === undefined) return new ClientCertPolicy(policy);
  atPath(field, () => refuseUnsupported(details, DetailsSchema, DETAILS, '', REASONS));
  if (policy !== 'append-forward' && policy !== 'sanitize-set') warn(field);
  const { cert, chain, subject = false, uri, dns, issuer } = details;
  return new ClientCertPolicy(policy, { cert, chain, subject, uri, dns, issuer });
}

function compileMatcher(
  { forwardClientCertMatcher: matcher }: HttpConnectionManager,
  context: ListenerFactoryContext,
  warn: (field: string) => void,
): ChooseClientCertPolicy | undefined {
  if (matcher === undefined) return undefined;
  const action = ({ name, typedConfig }: NamedExtension) =>
    atPath('typed_config', () => {
      const config = typedConfig === undefined ? undefined : unpackAnyAs(typedConfig, ActionSchema);
      if (config === undefined) {
        const found = typedConfig === undefined ? `"${name}" without a config` : anyTypeName(typedConfig);
        throw ConfigError.at('', `expected ${ActionSchema.typeName}, found ${found}`);
      }
      return compilePolicy(config.forwardClientCertDetails, config.setCurrentClientCertDetails, (field) =>
        warn(`forward_client_cert_matcher.${field}`),
      );
    });
  const tree = compileMatchTree(matcher, httpMatchResolver(context, action));
  return (requestHeaders, info) => {
    const found = tree.match({
      info,
      requestHeaders,
      requestTrailers: undefined,
      responseHeaders: undefined,
      responseTrailers: undefined,
    });
    return found === NOT_AVAILABLE ? undefined : found;
  };
}
