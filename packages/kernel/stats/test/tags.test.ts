import { describe, expect, it } from 'vitest';
import { TagProducer, StatsStore, formatPrometheus } from '../src/index.ts';

const producer = new TagProducer({});

describe('default tags', () => {
  it.each<[name: string, extracted: string, tags: string]>([
    ['cluster.ratelimit.upstream_rq_timeout', 'cluster.upstream_rq_timeout', 'cluster_name=ratelimit'],
    ['cluster.foo.upstream_rq_2xx', 'cluster.upstream_rq_xx', 'response_code_class=2 cluster_name=foo'],
    ['cluster.foo.upstream_rq_503', 'cluster.upstream_rq', 'response_code=503 cluster_name=foo'],
    [
      'cluster.foo.internal.upstream_rq_200',
      'cluster.internal.upstream_rq',
      'response_code=200 cluster_name=foo',
    ],
    ['cluster.foo', 'cluster', 'cluster_name=foo'],
    [
      'listener.[__1]_0.ssl.ciphers.AES256-SHA',
      'listener.ssl.ciphers',
      'ssl_cipher=AES256-SHA listener_address=[__1]_0',
    ],
    ['cluster.c.ssl.ciphers.ECDHE-RSA', 'cluster.ssl.ciphers', 'cipher_suite=ECDHE-RSA cluster_name=c'],
    [
      'listener.127.0.0.1_443.ssl.versions.TLSv1.3',
      'listener.ssl.versions',
      'ssl_version=TLSv1.3 listener_address=127.0.0.1_443',
    ],
    [
      'listener.0.0.0.0_80.ssl.curves.P-256',
      'listener.ssl.curves',
      'ssl_curve=P-256 listener_address=0.0.0.0_80',
    ],
    [
      'listener.127.0.0.1_3012.http.http_prefix.downstream_rq_5xx',
      'listener.http.downstream_rq_xx',
      'response_code_class=5 http_conn_manager_prefix=http_prefix listener_address=127.0.0.1_3012',
    ],
    ['listener.my_prefix.downstream_cx_total', 'listener.downstream_cx_total', 'listener_address=my_prefix'],
    ['listener.admin.downstream_cx_total', 'listener.admin.downstream_cx_total', ''],
    [
      'listener.127.0.0.1_80.worker_0.downstream_cx_active',
      'listener.worker_downstream_cx_active',
      'worker_id=0 listener_address=127.0.0.1_80',
    ],
    [
      'listener_manager.worker_123.dispatcher.loop_duration_us',
      'listener_manager.worker_dispatcher.loop_duration_us',
      'worker_id=123',
    ],
    ['http.egress.downstream_cx_total', 'http.downstream_cx_total', 'http_conn_manager_prefix=egress'],
    [
      'http.egress.user_agent.ios.downstream_cx_total',
      'http.user_agent.downstream_cx_total',
      'http_user_agent=ios http_conn_manager_prefix=egress',
    ],
    [
      'http.m.fault.c.aborts_injected',
      'http.fault.aborts_injected',
      'fault_downstream_cluster=c http_conn_manager_prefix=m',
    ],
    [
      'http.m.rds.route_config.123.update_success',
      'http.rds.update_success',
      'http_conn_manager_prefix=m rds_route_config=route_config.123',
    ],
    [
      'http.m.scoped_rds.scope.update_success',
      'http.scoped_rds.update_success',
      'http_conn_manager_prefix=m scoped_rds_config=scope',
    ],
    ['http.m.ext_authz.p.ok', 'http.ext_authz.ok', 'ext_authz_prefix=p http_conn_manager_prefix=m'],
    ['http.m.rbac.p.allowed', 'http.rbac.allowed', 'http_conn_manager_prefix=m rbac_http_prefix=p'],
    [
      'vhost.v.vcluster.c.upstream_rq_2xx',
      'vhost.vcluster.upstream_rq_xx',
      'response_code_class=2 virtual_cluster=c virtual_host=v',
    ],
    [
      'vhost.v.route.r.upstream_rq_200',
      'vhost.route.upstream_rq',
      'response_code=200 virtual_host=v route=r',
    ],
    ['tcp.ingress.downstream_cx_total', 'tcp.downstream_cx_total', 'tcp_prefix=ingress'],
    ['udp.p.x', 'udp.x', 'udp_prefix=p'],
    ['auth.clientssl.p.auth_ip_allowlist', 'auth.clientssl.auth_ip_allowlist', 'clientssl_prefix=p'],
    ['ratelimit.p.over_limit', 'ratelimit.over_limit', 'ratelimit_prefix=p'],
    ['p.http_local_rate_limit.ok', 'http_local_rate_limit.ok', 'local_http_ratelimit_prefix=p'],
    ['connection_limit.p.active', 'connection_limit.active', 'connection_limit_prefix=p'],
    ['p.rbac.allowed', 'rbac.allowed', 'rbac_prefix=p'],
    ['grpc.p.streams_total', 'grpc.streams_total', 'google_grpc_client_prefix=p'],
    ['redis.p.x', 'redis.x', 'redis_prefix=p'],
    ['mongo.f.op_reply', 'mongo.op_reply', 'mongo_prefix=f'],
    ['mongo.f.cmd.foo.reply_size', 'mongo.cmd.reply_size', 'mongo_cmd=foo mongo_prefix=f'],
    [
      'mongo.f.collection.bar.query.multi_get',
      'mongo.collection.query.multi_get',
      'mongo_collection=bar mongo_prefix=f',
    ],
    [
      'mongo.f.collection.bar.callsite.baz.query.scatter_get',
      'mongo.collection.callsite.query.scatter_get',
      'mongo_callsite=baz mongo_collection=bar mongo_prefix=f',
    ],
    [
      'cluster.g.grpc.s.m.success',
      'cluster.grpc.success',
      'grpc_bridge_method=m grpc_bridge_service=s cluster_name=g',
    ],
    [
      'http.e.dynamodb.operation.Query.upstream_rq_time',
      'http.dynamodb.operation.upstream_rq_time',
      'dynamo_operation=Query http_conn_manager_prefix=e',
    ],
    [
      'http.e.dynamodb.table.t.capacity.Query.__partition_id=ABC1234',
      'http.dynamodb.table.capacity',
      'dynamo_partition_id=ABC1234 dynamo_operation=Query dynamo_table=t http_conn_manager_prefix=e',
    ],
    ['server.uptime', 'server.uptime', ''],
    ['clusterx.y.z', 'clusterx.y.z', ''],
    ['', '', ''],
  ])('%s', (name, extracted, tags) => {
    const result = producer.produce(name);
    expect(result.extractedName).toBe(extracted);
    expect(result.tags.map((tag) => `${tag.name.replace('envoy.', '')}=${tag.value}`).join(' ')).toBe(tags);
  });

  it('takes names that only look like a match, however long', () => {
    const listener = `listener.${'http.'.repeat(20_000)}x`;
    expect(producer.produce(listener).tags.map(({ name }) => name)).toEqual([
      'envoy.http_conn_manager_prefix',
      'envoy.listener_address',
    ]);
    expect(producer.produce(`mongo.${'collection.query.'.repeat(5_000)}x`).tags).toHaveLength(1);
  });
});

describe('stats_tags', () => {
  it('adds fixed values first and own regexes last', () => {
    const own = new TagProducer({
      tags: [
        { name: 'zone', fixedValue: 'eu' },
        { name: 'port', regex: '_(\\d+)\\.' },
        { name: 'whole', regex: '(\\.downstream)' },
      ],
    });
    expect(own.produce('listener.10.0.0.1_80.downstream_cx')).toEqual({
      extractedName: 'listener._cx',
      tags: [
        { name: 'zone', value: 'eu' },
        { name: 'envoy.listener_address', value: '10.0.0.1_80' },
        { name: 'port', value: '80' },
        { name: 'whole', value: '.downstream' },
      ],
    });
  });

  it('takes a default by its name when the defaults are off', () => {
    const only = new TagProducer({ useAllDefaultTags: false, tags: [{ name: 'envoy.cluster_name' }] });
    expect(only.produce('cluster.a.upstream_rq_2xx')).toEqual({
      extractedName: 'cluster.upstream_rq_2xx',
      tags: [{ name: 'envoy.cluster_name', value: 'a' }],
    });
  });

  it.each([
    [{ name: '' }, /tag_name cannot be empty/],
    [{ name: 'mine' }, /no default regex for name: 'mine'/],
    [{ name: 'mine', regex: '(' }, /regular expression/i],
  ])('refuses %j', (tag, message) => {
    expect(() => new TagProducer({ tags: [tag] })).toThrow(message);
  });
});

describe('Prometheus', () => {
  it('writes families together, tags as labels', () => {
    const store = new StatsStore();
    const stats = store.createThread();
    for (const name of ['foo', 'bar']) {
      const cluster = stats.scope(`cluster.${name}`);
      cluster.counter('upstream_rq_2xx').add(3);
      cluster.gauge('upstream_cx_active').set(1);
    }
    stats.textReadout('server.note').set('a "quoted"\nback\\slash');
    stats.counter('unused');
    expect(formatPrometheus(store, { usedOnly: true, textReadouts: true })).toBe(
      [
        '# TYPE envoy_cluster_upstream_rq_xx counter',
        'envoy_cluster_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="bar"} 3',
        'envoy_cluster_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="foo"} 3',
        '# TYPE envoy_cluster_upstream_cx_active gauge',
        'envoy_cluster_upstream_cx_active{envoy_cluster_name="bar"} 1',
        'envoy_cluster_upstream_cx_active{envoy_cluster_name="foo"} 1',
        '# TYPE envoy_server_note gauge',
        'envoy_server_note{text_value="a \\"quoted\\"\\nback\\\\slash"} 1',
        '',
      ].join('\n'),
    );
  });

  it('writes histograms with bounds, sum and count', () => {
    const store = new StatsStore({
      histogramBuckets: [{ match: { suffix: 'upstream_cx_connect_ms' }, buckets: [100, 0.5, 3_600_000] }],
    });
    const histogram = store
      .createThread()
      .scope('cluster.a')
      .histogram('upstream_cx_connect_ms', 'milliseconds');
    histogram.record(20);
    histogram.record(0);
    store.flush();
    expect(formatPrometheus(store)).toBe(
      [
        '# TYPE envoy_cluster_upstream_cx_connect_ms histogram',
        'envoy_cluster_upstream_cx_connect_ms_bucket{envoy_cluster_name="a",le="0.5"} 1',
        'envoy_cluster_upstream_cx_connect_ms_bucket{envoy_cluster_name="a",le="100"} 2',
        'envoy_cluster_upstream_cx_connect_ms_bucket{envoy_cluster_name="a",le="3600000"} 2',
        'envoy_cluster_upstream_cx_connect_ms_bucket{envoy_cluster_name="a",le="+Inf"} 2',
        'envoy_cluster_upstream_cx_connect_ms_sum{envoy_cluster_name="a"} 20.487804878048780921062643756159',
        'envoy_cluster_upstream_cx_connect_ms_count{envoy_cluster_name="a"} 2',
        '',
      ].join('\n'),
    );
  });

  it('writes summaries of the last interval', () => {
    const store = new StatsStore();
    const histogram = store.createThread().histogram('cluster.a.upstream_rq_time', 'milliseconds');
    histogram.record(20);
    store.flush();
    const lines = formatPrometheus(store, { histogramBuckets: 'summary' }).split('\n');
    expect(lines.slice(0, 3)).toEqual([
      '# TYPE envoy_cluster_upstream_rq_time summary',
      'envoy_cluster_upstream_rq_time{envoy_cluster_name="a",quantile="0"} 20',
      'envoy_cluster_upstream_rq_time{envoy_cluster_name="a",quantile="0.25"} 20.25',
    ]);
    expect(lines.slice(-2)).toEqual(['envoy_cluster_upstream_rq_time_count{envoy_cluster_name="a"} 1', '']);
    store.flush();
    expect(formatPrometheus(store, { histogramBuckets: 'summary' })).toContain('quantile="1"} NaN\n');
  });
});
