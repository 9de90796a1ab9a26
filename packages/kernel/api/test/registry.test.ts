import { describe, expect, it } from 'vitest';
import * as api from '../src/index.ts';

describe('the registry', () => {
  it('has the API and the well-known types', () => {
    for (const name of [
      'envoy.config.bootstrap.v3.Bootstrap',
      'envoy.service.discovery.v3.DeltaDiscoveryResponse',
      'envoy.service.metrics.v3.StreamMetricsMessage',
      'envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig',
      'google.protobuf.FieldMask',
      'google.protobuf.Empty',
      'xds.type.v3.TypedStruct',
    ]) {
      expect(api.messageType(name)?.typeName).toBe(name);
      expect(api.messageType(`type.googleapis.com/${name}`)?.typeName).toBe(name);
    }
    expect(api.messageType('no.such.Type')).toBeUndefined();
    expect(api.typeUrl(api.ClusterSchema)).toBe('type.googleapis.com/envoy.config.cluster.v3.Cluster');
  });

  it('is what every exported schema comes from', () => {
    let schemas = 0;
    for (const [name, value] of Object.entries(api as Record<string, unknown>)) {
      if (!name.endsWith('Schema') || typeof value !== 'object') continue;
      const desc = value as api.DescMessage;
      if (desc.kind !== 'message' || desc.typeName.startsWith('google.protobuf.')) continue;
      expect(api.registry.getMessage(desc.typeName)).toBe(desc);
      schemas++;
    }
    expect(schemas).toBeGreaterThan(1_100);
  });

  it('gives names that occur several times to the one that configs mean', () => {
    expect(api.FilterSchema.typeName).toBe('envoy.config.listener.v3.Filter');
    expect(api.RetryPolicySchema.typeName).toBe('envoy.config.route.v3.RetryPolicy');
    expect(api.HttpProtocolOptionsSchema.typeName).toBe('envoy.config.core.v3.HttpProtocolOptions');
    expect(api.UpstreamsHttpProtocolOptionsSchema.typeName).toBe(
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    );
    expect(api.RouterSchema.typeName).toBe('envoy.extensions.filters.http.router.v3.Router');
    expect(api.DirectResponseConfigSchema.typeName).toBe(
      'envoy.extensions.filters.network.direct_response.v3.Config',
    );
    expect(api.HttpRBACSchema.typeName).toBe('envoy.extensions.filters.http.rbac.v3.RBAC');
    expect(api.NetworkRBACSchema.typeName).toBe('envoy.extensions.filters.network.rbac.v3.RBAC');
    expect(api.XdsTypedStructSchema.typeName).toBe('xds.type.v3.TypedStruct');
  });

  it('makes enums objects of names and numbers', () => {
    expect(api.HttpConnectionManager_CodecType.HTTP2).toBe(2);
    expect(api.HttpConnectionManager_CodecType[2]).toBe('HTTP2');
  });

  it('keeps which fields are sensitive', () => {
    const sensitive = api.registry.getExtension('udpa.annotations.sensitive');
    const field = api.TlsCertificateSchema.field.privateKey;
    expect(sensitive !== undefined && api.hasOption(field as never, sensitive as never)).toBe(true);
  });
});

describe('the overlay', () => {
  /** Numbers as the Envoy project publishes them. */
  it.each<[message: string, field: string, number: number]>([
    ['envoy.config.route.v3.VirtualHost', 'request_body_buffer_limit', 25],
    ['envoy.config.route.v3.Route', 'request_body_buffer_limit', 20],
    [
      'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
      'http1_safe_max_connection_duration',
      58,
    ],
    [
      'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
      'stream_flush_timeout',
      59,
    ],
    [
      'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
      'forward_client_cert_matcher',
      60,
    ],
    [
      'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
      'forward_proto_config',
      61,
    ],
    [
      'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
      'drain_timeout_jitter',
      62,
    ],
    [
      'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.SetCurrentClientCertDetails',
      'issuer',
      8,
    ],
    [
      'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.ForwardClientCertConfig',
      'set_current_client_cert_details',
      2,
    ],
    [
      'envoy.extensions.filters.network.http_connection_manager.v3.ForwardProtoConfig',
      'http_destination_ports',
      2,
    ],
    ['envoy.config.route.v3.RouteAction.RequestMirrorPolicy', 'request_headers_mutations', 7],
    ['envoy.config.route.v3.RouteAction.RequestMirrorPolicy', 'host_rewrite_literal', 8],
    ['envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector', 'enable_ja4_fingerprinting', 3],
    [
      'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector',
      'close_connection_on_client_hello_parsing_errors',
      4,
    ],
    ['envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector', 'max_client_hello_size', 5],
    ['envoy.extensions.filters.listener.http_inspector.v3.HttpInspector', 'initial_read_buffer_size', 1],
    ['envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol', 'tlv_location', 6],
    ['envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol.KeyValuePair', 'value_format', 3],
    ['envoy.extensions.http.original_ip_detection.xff.v3.XffConfig', 'xff_trusted_cidrs', 2],
    ['envoy.extensions.http.original_ip_detection.xff.v3.XffConfig', 'skip_xff_append', 3],
    ['envoy.extensions.http.original_ip_detection.xff.v3.XffTrustedCidrs', 'cidrs', 1],
    ['envoy.config.common.mutation_rules.v3.HeaderMutation', 'remove_on_match', 3],
    ['envoy.config.common.mutation_rules.v3.HeaderMutation.RemoveOnMatch', 'key_matcher', 1],
    ['envoy.config.core.v3.Http1ProtocolOptions', 'ignore_http_11_upgrade', 11],
    ['envoy.config.core.v3.HttpProtocolOptions', 'max_response_headers_kb', 7],
    [
      'envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder.PrintOptions',
      'stream_sse_style_delimited',
      6,
    ],
    ['envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', 'auto_host_sni', 6],
    ['envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', 'auto_sni_san_validation', 7],
    ['envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', 'backoff_options', 18],
    [
      'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
      'max_downstream_connection_duration_jitter_percentage',
      20,
    ],
    ['envoy.config.cluster.v3.Cluster', 'dns_jitter', 58],
    ['envoy.extensions.formatter.all_headers.v3.AllHeaders', 'max_value_bytes', 1],
    ['envoy.extensions.formatter.all_headers.v3.AllHeaders', 'exclude_headers', 2],
    ['envoy.config.route.v3.WeightedCluster', 'use_hash_policy', 5],
    ['envoy.config.route.v3.DirectResponseAction', 'body_format', 3],
    ['envoy.config.route.v3.RateLimit', 'hits_addend', 5],
    ['envoy.config.route.v3.RateLimit', 'apply_on_stream_done', 6],
    ['envoy.config.route.v3.RateLimit.HitsAddend', 'number', 1],
    ['envoy.config.route.v3.RateLimit.HitsAddend', 'format', 2],
    ['envoy.config.route.v3.RateLimit.Action', 'query_parameters', 12],
    ['envoy.config.route.v3.RateLimit.Action.QueryParameters', 'skip_if_absent', 3],
    ['envoy.config.route.v3.RouteConfiguration', 'vhost_header', 18],
    ['envoy.config.route.v3.RouteMatch', 'filter_state', 16],
    ['envoy.config.route.v3.RouteMatch', 'cookies', 17],
    ['envoy.config.route.v3.CookieMatcher', 'invert_match', 3],
    ['envoy.type.matcher.v3.FilterStateMatcher', 'address_match', 3],
    ['envoy.type.matcher.v3.AddressMatcher', 'ranges', 1],
    ['envoy.config.common.matcher.v3.Matcher.OnMatch', 'keep_matching', 3],
    ['xds.type.matcher.v3.Matcher.OnMatch', 'keep_matching', 3],
    ['envoy.extensions.matching.common_inputs.network.v3.DynamicMetadataInput', 'path', 2],
    ['envoy.extensions.matching.input_matchers.metadata.v3.Metadata', 'invert', 4],
    ['envoy.config.core.v3.TlvEntry', 'type', 1],
    ['envoy.config.core.v3.TlvEntry', 'value', 2],
    ['envoy.config.core.v3.TlvEntry', 'format_string', 3],
    ['envoy.config.core.v3.ProxyProtocolConfig', 'added_tlvs', 3],
    ['envoy.config.core.v3.PerHostConfig', 'added_tlvs', 1],
    [
      'envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport',
      'allow_unspecified_address',
      3,
    ],
    [
      'envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport',
      'tlv_as_pool_key',
      4,
    ],
    [
      'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.SetCurrentClientCertDetails',
      'format',
      7,
    ],
    [
      'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.SetCurrentClientCertDetails',
      'issuer',
      8,
    ],
    ['io.prometheus.client.Metric', 'histogram', 7],
    ['io.prometheus.client.MetricFamily', 'metric', 4],
    ['opentelemetry.proto.common.v1.AnyValue', 'kvlist_value', 6],
  ])('%s.%s is number %i', (message, field, number) => {
    expect(api.messageType(message)?.fields.find((f) => f.name === field)?.number).toBe(number);
  });

  it('puts a field that it says anew in place of the shipped one', () => {
    const { fields } = api.ResponseFlagFilterSchema;
    expect(fields.map(({ name, number }) => [name, number])).toEqual([['flags', 1]]);
    const flags = (...names: string[]) =>
      api.checkConstraints(
        api.ResponseFlagFilterSchema,
        api.create(api.ResponseFlagFilterSchema, { flags: names }),
      );
    expect(flags('LH', 'DR', 'UDO')).toEqual([]);
    expect(flags('XX')).toHaveLength(1);
  });

  it('keeps what the shipped message has', () => {
    const schema = api.HttpConnectionManagerSchema;
    expect(schema.field.statPrefix.number).toBe(2);
    expect(schema.field.forwardClientCertMatcher.message?.typeName).toBe('xds.type.matcher.v3.Matcher');
    expect(
      api.toBinary(
        api.UpstreamTlsContextSchema,
        api.create(api.UpstreamTlsContextSchema, { autoHostSni: true }),
      ),
    ).toEqual(Uint8Array.of(0x30, 1));
  });
});

describe('toConfigJson', () => {
  it('uses proto names and puts @type first', () => {
    const any = api.anyPack(
      api.TcpProxySchema,
      api.create(api.TcpProxySchema, { statPrefix: 's', clusterSpecifier: { case: 'cluster', value: 'c' } }),
    );
    const filter = api.create(api.FilterSchema, {
      name: 'f',
      configType: { case: 'typedConfig', value: any },
    });
    expect(JSON.stringify(api.toConfigJson(filter))).toBe(
      '{"name":"f","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy","stat_prefix":"s","cluster":"c"}}',
    );
  });

  it('shows an Any of an unknown type instead of failing', () => {
    const filter = api.create(api.FilterSchema, {
      name: 'f',
      configType: { case: 'typedConfig', value: { typeUrl: 'a/b.C', value: Uint8Array.of(1, 2) } },
    });
    expect(api.toConfigJson(filter)).toEqual({
      name: 'f',
      typed_config: { '@type': 'a/b.C', value: 'AQI=' },
    });
  });
});

describe('durations', () => {
  it.each([0, 1, 1500, 0.000001, -2500, 86_400_000])('%d ms', (ms) => {
    expect(api.durationMs(api.durationFromMs(ms))).toBeCloseTo(ms, 6);
  });
  it('of nothing are nothing', () => expect(api.durationMs(undefined)).toBeUndefined());
});

describe('nearest', () => {
  it.each<[string, string[], string | undefined]>([
    ['clustr', ['cluster', 'listener'], 'cluster'],
    ['cluster-name', ['cluster_name'], 'cluster_name'],
    ['lcuster', ['cluster'], 'cluster'],
    ['abc', ['xyz'], undefined],
    ['a', ['b', 'A'], 'A'],
    ['', ['x'], 'x'],
    ['zzz', [], undefined],
  ])('%s', (name, candidates, expected) => expect(api.nearest(name, candidates)).toBe(expected));
});

describe('the lazy registry', () => {
  it('finds types of each kind, and extensions by what they extend', () => {
    expect(api.registry.get('envoy.config.cluster.v3.Cluster.LbPolicy')?.kind).toBe('enum');
    expect(api.registry.getMessage('envoy.config.cluster.v3.Cluster.LbPolicy')).toBeUndefined();
    expect(
      api.registry.getService('envoy.service.cluster.v3.ClusterDiscoveryService')?.method.streamClusters
        .methodKind,
    ).toBe('bidi_streaming');
    const rules = api.registry.getExtension('validate.rules')!;
    expect(api.registry.getExtensionFor(rules.extendee, rules.number)).toBe(rules);
    expect(api.registry.getExtensionFor(api.ClusterSchema, 1)).toBeUndefined();
    expect(api.registry.getFile('no/such.proto')).toBeUndefined();
    expect(api.registry.getFile('envoy/config/cluster/v3/cluster.proto')).toBe(api.ClusterSchema.file);
  });

  it('has every file and every type once, and one descriptor a type', () => {
    const files = [...api.registry.files].map((file) => file.proto.name);
    expect(new Set(files).size).toBe(files.length);
    const types = [...api.registry].map((type) => type.typeName);
    expect(new Set(types).size).toBe(types.length);
    expect(new Set(api.registry.names())).toEqual(new Set(types));
    for (const type of api.registry) {
      if (type.kind !== 'message') continue;
      for (const field of type.fields) {
        if (field.message) expect(api.registry.getMessage(field.message.typeName)).toBe(field.message);
      }
    }
  });
});
