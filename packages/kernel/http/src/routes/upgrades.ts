import {
  type RouteAction,
  RouteAction_UpgradeConfig_ConnectConfigSchema,
  type RouteAction_UpgradeConfig,
} from '@dragoman/api';
import { atPath, ConfigError, refuseUnsupported, type UpgradePolicies } from '@dragoman/core';

const CONNECT = 'connect';
const SUPPORTED = new Set(['allow_post']);
const REASONS = {
  proxy_protocol_config:
    'the PROXY protocol is not supported yet; remove proxy_protocol_config, and the payload goes upstream as it is',
};

/**
 * `upgrade_configs` of a route.
 * @throws ConfigError for a type that stands twice, and for `connect_config` where it cannot act
 */
export function compileUpgradePolicies({ upgradeConfigs }: RouteAction): UpgradePolicies | undefined {
  if (upgradeConfigs.length === 0) return undefined;
  const enabled = new Map<string, boolean>();
  let terminate: UpgradePolicies['terminate'];
  upgradeConfigs.forEach((config, i) => {
    atPath(`upgrade_configs[${i}]`, () => {
      const type = config.upgradeType.toLowerCase();
      if (type === '') throw ConfigError.at('upgrade_type', 'may not be empty');
      if (enabled.has(type))
        throw ConfigError.at('upgrade_type', `"${config.upgradeType}" stands twice; leave one of them`);
      enabled.set(type, config.enabled ?? true);
      terminate = readConnectConfig(config, type) ?? terminate;
    });
  });
  return { enabled, terminate };
}

function readConnectConfig(config: RouteAction_UpgradeConfig, type: string): UpgradePolicies['terminate'] {
  const { connectConfig } = config;
  if (connectConfig === undefined) return undefined;
  if (type !== CONNECT) {
    throw ConfigError.at(
      'connect_config',
      `is for the type CONNECT, not for "${config.upgradeType}"; remove it`,
    );
  }
  refuseUnsupported(
    connectConfig,
    RouteAction_UpgradeConfig_ConnectConfigSchema,
    SUPPORTED,
    'connect_config',
    REASONS,
  );
  return { allowPost: connectConfig.allowPost };
}
