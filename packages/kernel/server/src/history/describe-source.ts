import { ApiConfigSource_ApiType, type ApiConfigSource, ConfigSourceSchema, isMessage } from '@dragoman/api';

/** A config source in a few words: `ads`, `grpc xds_cluster`, `rest xds_cluster`, `file /etc/envoy/lds.yaml`. */
export function describeSource(source: unknown): string {
  if (!isMessage(source, ConfigSourceSchema)) return 'unknown';
  const { configSourceSpecifier: specifier } = source;
  switch (specifier.case) {
    case 'ads':
      return 'ads';
    case 'path':
      return `file ${specifier.value}`;
    case 'pathConfigSource':
      return `file ${specifier.value.path}`;
    case 'apiConfigSource':
      return describeApi(specifier.value);
    default:
      return specifier.case ?? 'unknown';
  }
}

function describeApi({ apiType, clusterNames, grpcServices }: ApiConfigSource): string {
  if (apiType === ApiConfigSource_ApiType.REST) return `rest ${clusterNames.join(', ')}`;
  const targets = grpcServices.map(({ targetSpecifier: { case: kind, value } }) =>
    kind === 'envoyGrpc' ? value.clusterName : (value?.targetUri ?? ''),
  );
  return `grpc ${targets.join(', ')}`;
}
