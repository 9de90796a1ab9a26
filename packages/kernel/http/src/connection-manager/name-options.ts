import { type Http1ProtocolOptions, resolveExtension } from '@dragoman/api';
import { atPath, type FactoryContext } from '@dragoman/core';
import type { Http1ServerOptions } from '@dragoman/http1';
import { compileStringMatcher } from '@dragoman/matching';

/** What of `http_protocol_options` is about header names, and about the values of Upgrade. */
export function readNameOptions(
  http1: Http1ProtocolOptions | undefined,
  context: FactoryContext,
): Pick<Http1ServerOptions, 'headerKeyFormat' | 'headerFormatter' | 'ignoreUpgrade'> {
  if (http1 === undefined) return {};
  return { ...readKeyFormat(http1, context), ...readIgnoredUpgrades(http1) };
}

function readKeyFormat(
  http1: Http1ProtocolOptions,
  context: FactoryContext,
): Pick<Http1ServerOptions, 'headerKeyFormat' | 'headerFormatter'> {
  const format = http1.headerKeyFormat?.headerFormat;
  if (format?.case === 'properCaseWords') return { headerKeyFormat: 'proper_case_words' };
  if (format?.case !== 'statefulFormatter') return {};
  const path = 'http_protocol_options.header_key_format.stateful_formatter.typed_config';
  const { name, typedConfig } = format.value;
  const { extension, message } = resolveExtension(
    context.extensions,
    'header-formatters',
    name,
    typedConfig,
    path,
  );
  return { headerFormatter: atPath(path, () => extension.create(message, context)) };
}

function readIgnoredUpgrades({
  ignoreHttp11Upgrade,
}: Http1ProtocolOptions): Pick<Http1ServerOptions, 'ignoreUpgrade'> {
  if (ignoreHttp11Upgrade.length === 0) return {};
  const matchers = ignoreHttp11Upgrade.map((matcher, i) =>
    atPath(`http_protocol_options.ignore_http_11_upgrade[${i}]`, () => compileStringMatcher(matcher)),
  );
  return { ignoreUpgrade: (value) => matchers.some((matches) => matches(value)) };
}
