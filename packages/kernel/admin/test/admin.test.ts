import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerInfo_State } from '@dragoman/api';
import { beforeEach, describe, expect, it } from 'vitest';
import { Admin, ok } from '../src/index.ts';
import { FakeState } from './fake-state.ts';

let state: FakeState;
let admin: Admin;

beforeEach(() => {
  state = new FakeState();
  admin = new Admin(state);
});

const get = (path: string) => admin.handle({ method: 'GET', path });
const post = (path: string, body?: string) =>
  admin.handle({ method: 'POST', path, body, contentType: 'application/x-www-form-urlencoded' });

const MUTATING = [
  '/cpuprofiler',
  '/drain_listeners',
  '/healthcheck/fail',
  '/healthcheck/ok',
  '/heapprofiler',
  '/logging',
  '/quitquitquit',
  '/reopen_logs',
  '/reset_counters',
  '/runtime_modify',
  '/stats/recentlookups/clear',
  '/stats/recentlookups/disable',
  '/stats/recentlookups/enable',
];

const READING = [
  '/',
  '/certs',
  '/clusters',
  '/config_dump',
  '/contention',
  '/help',
  '/hot_restart_version',
  '/init_dump',
  '/listeners',
  '/memory',
  '/ready',
  '/runtime',
  '/server_info',
  '/stats',
  '/stats/prometheus',
  '/stats/recentlookups',
];

describe('methods and paths', () => {
  it.each(MUTATING)('%s is POST only, and does nothing otherwise', async (path) => {
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const response = await admin.handle({ method, path: `${path}?enable=y&level=off` });
      expect(response).toMatchObject({ status: 405, body: `Method ${method} not allowed, POST required.` });
      expect(response.afterwards).toBeUndefined();
    }
    expect(state.done).toEqual([]);
    expect(state.levels.get('http')).toBe('debug');
  });

  it.each(READING)('%s answers 200 to GET, with unknown parameters and none', async (path) => {
    for (const query of ['', '?', '?unknown=1&another']) {
      const response = await get(path + query);
      expect(response.status).toBe(200);
      expect(response.headers).toMatchObject({
        'cache-control': 'no-cache, max-age=0',
        'x-content-type-options': 'nosniff',
      });
    }
  });

  it('/help lists every path, sorted, with its parameters', async () => {
    const { body } = await get('/help');
    expect(body.startsWith('admin commands are:\n  /: ')).toBe(true);
    const paths = [...body.matchAll(/^ {2}(\/\S*)( \(POST\))?: /gm)];
    expect(paths.map(([, path]) => path)).toEqual([...MUTATING, ...READING].sort());
    expect(paths.filter(([, , only]) => only !== undefined).map(([, path]) => path)).toEqual(MUTATING);
    expect(body).toContain('      format: How to print them; One of (text, json)\n');
  });

  it.each(['/nowhere', '', 'stats', '/stats/', '//', '/clusters/<script>alert(1)</script>'])(
    '%j is not found, and is not repeated',
    async (path) => {
      const response = await get(path);
      expect(response.status).toBe(404);
      expect(response.body.startsWith('invalid path. admin commands are:\n  /: ')).toBe(true);
      expect(response.body).not.toContain('script');
      expect(response.headers['content-type']).toBe('text/plain; charset=UTF-8');
    },
  );

  it('turns what an endpoint throws into a 500', async () => {
    state.failClusters = true;
    expect(await get('/clusters')).toMatchObject({ status: 500, body: 'no clusters today\n' });
  });

  it('takes endpoints from outside, each path once', async () => {
    const own = { path: '/own', help: 'own', handle: () => ok() };
    const extended = new Admin(state, { endpoints: [own] });
    expect(await extended.handle({ method: 'GET', path: '/own' })).toMatchObject({
      status: 200,
      body: 'OK\n',
    });
    expect(() => new Admin(state, { endpoints: [own, own] })).toThrow('/own');
  });
});

describe('the page', () => {
  it('has a form for each path, POST where something changes', async () => {
    const { headers, body } = await get('/');
    expect(headers['content-type']).toBe('text/html; charset=UTF-8');
    expect(body).toContain('<form action="quitquitquit" method="post"');
    expect(body).toContain('<form action="stats" method="get"');
    expect(body.match(/<form /g)).toHaveLength(MUTATING.length + READING.length);
  });

  it('escapes what the query and stat names bring', async () => {
    state.stats.createThread().counter('<script>alert("x")</script>').inc();
    const { body } = await get(`/stats?format=html&filter=${encodeURIComponent('"><script>|')}`);
    expect(body).not.toMatch(/<script/);
    expect(body).toContain('value="&quot;&gt;&lt;script&gt;|"');
    expect(body).toContain('&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;: 1');
  });
});

describe('/stats', () => {
  beforeEach(() => {
    const stats = state.stats.createThread();
    stats.counter('cluster.a.upstream_rq_2xx').add(3);
    stats.gauge('server.live').set(1);
    stats.counter('unused');
    stats.textReadout('t').set('text');
    stats.histogram('h').record(5);
  });

  it.each([
    ['/stats', 't: "text"\ncluster.a.upstream_rq_2xx: 3\nserver.live: 1\nunused: 0\nh: No recorded values\n'],
    ['/stats?usedonly', 't: "text"\ncluster.a.upstream_rq_2xx: 3\nserver.live: 1\n'],
    ['/stats?format=text&type=Gauges', 'server.live: 1\n'],
    ['/stats?filter=^cluster\\..+xx$', 'cluster.a.upstream_rq_2xx: 3\n'],
    ['/stats?filter=%5Eserver', 'server.live: 1\n'],
    [
      '/stats?filter=&type=&format=&histogram_buckets=&type=Gauges',
      't: "text"\ncluster.a.upstream_rq_2xx: 3\nserver.live: 1\nunused: 0\nh: No recorded values\n',
    ],
    ['/stats?format=json&filter=live', '{"stats":[{"name":"server.live","value":1}]}'],
    [
      '/stats?format=prometheus&filter=rq',
      '# TYPE envoy_cluster_upstream_rq_xx counter\n' +
        'envoy_cluster_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="a"} 3\n',
    ],
    ['/stats/prometheus?filter=^t$&text_readouts', '# TYPE envoy_t gauge\nenvoy_t{text_value="text"} 1\n'],
  ])('%s', async (path, expected) => {
    expect(await get(path)).toMatchObject({ status: 200, body: expected });
  });

  it.each([
    ['/stats?format=yaml', 'usage: /stats?format=(html|json|prometheus|text)\n\n'],
    ['/stats?type=Things', 'invalid &type= param'],
    ['/stats?filter=(', 'Invalid re2 regex'],
    [
      '/stats?histogram_buckets=x',
      'usage: /stats?histogram_buckets=(none|cumulative|disjoint|detailed|summary)\n',
    ],
    ['/stats/prometheus?filter=(', 'Invalid re2 regex'],
    ['/stats/prometheus?histogram_buckets=detailed', 'unsupported prometheus histogram bucket mode\n'],
  ])('%s is refused', async (path, expected) => {
    expect(await get(path)).toMatchObject({ status: 400, body: expected });
  });

  it('takes linear time of any filter, and no syntax but RE2', async () => {
    state.stats.createThread().counter('a'.repeat(20_000));
    // A backtracking engine would not end before the runner gives up.
    expect((await get('/stats?filter=^(a%2B)%2B$&type=Gauges')).body).toBe('');
    expect((await get('/stats?filter=^(a|a)*b$')).body).toBe('');
    expect((await get('/stats?filter=.*.*.*x')).body).toContain('cluster.a.upstream_rq_2xx');
    expect((await get('/stats?filter=(?=a)')).status).toBe(400);
    expect((await get('/stats?filter=(a)\\1')).status).toBe(400);
  });

  it('prints summaries for Prometheus', async () => {
    expect((await get('/stats/prometheus?filter=^h$&histogram_buckets=summary')).body).toMatch(
      /^# TYPE envoy_h summary\nenvoy_h\{quantile="0"\} NaN\n/,
    );
  });

  it('flushes first when the bootstrap says so', async () => {
    state.flushStatsOnAdmin = true;
    expect((await get('/stats?filter=^h$')).body).toMatch(/^h: P0\(5,5\) P25/);
    expect((await get('/stats?filter=^h$&histogram_buckets=cumulative')).body).toContain('B10(0,1)');
  });

  it('adds the process to Prometheus, in a text whose families are each declared once', async () => {
    const { body } = await get('/stats/prometheus');
    expect(body).toContain('envoy_server_live{} 1\n');
    expect(body).toMatch(/^nodejs_eventloop_lag_seconds /m);
    expect(body).toMatch(/^nodejs_heap_size_total_bytes /m);
    expect(body).toMatch(/^# TYPE nodejs_gc_duration_seconds histogram$/m);
    const families = [...body.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
    expect(new Set(families).size).toBe(families.length);
    expect((await get('/stats/prometheus')).status).toBe(200);
  });

  it('resets counters and only these', async () => {
    expect(await post('/reset_counters')).toMatchObject({ status: 200, body: 'OK\n' });
    expect((await get('/stats?usedonly')).body).toBe(
      't: "text"\ncluster.a.upstream_rq_2xx: 0\nserver.live: 1\n',
    );
  });

  it('shows recent lookups', async () => {
    expect((await get('/stats/recentlookups')).body).toBe(
      'Lookup tracking is not enabled. Use /stats/recentlookups/enable to enable.\n\ntotal: 5\n',
    );
    await post('/stats/recentlookups/enable');
    const stats = state.stats.createThread();
    stats.counter('b');
    stats.counter('a');
    stats.counter('a');
    expect((await get('/stats/recentlookups')).body).toBe(
      '   Count Lookup\n       2 a\n       1 b\n\ntotal: 8\n',
    );
    await post('/stats/recentlookups/clear');
    expect((await get('/stats/recentlookups')).body).toBe('   Count Lookup\n\ntotal: 0\n');
    expect((await post('/stats/recentlookups/disable')).body).toBe('OK\n');
    expect((await get('/stats/recentlookups')).body).toMatch(/^Lookup tracking is not enabled/);
  });
});

describe('/clusters', () => {
  it('as text', async () => {
    expect((await get('/clusters')).body).toBe(`a::observability_name::obs
a::default_priority::max_connections::1024
a::default_priority::max_pending_requests::1024
a::default_priority::max_requests::1024
a::default_priority::max_retries::3
a::high_priority::max_connections::1
a::high_priority::max_pending_requests::1024
a::high_priority::max_requests::1024
a::high_priority::max_retries::3
a::added_via_api::false
a::127.0.0.1:80::cx_active::1
a::127.0.0.1:80::cx_connect_fail::2
a::127.0.0.1:80::cx_total::3
a::127.0.0.1:80::rq_active::0
a::127.0.0.1:80::rq_error::4
a::127.0.0.1:80::rq_success::5
a::127.0.0.1:80::rq_timeout::6
a::127.0.0.1:80::rq_total::9
a::127.0.0.1:80::hostname::host.test
a::127.0.0.1:80::health_flags::/failed_active_hc/failed_eds_health
a::127.0.0.1:80::weight::2
a::127.0.0.1:80::region::r
a::127.0.0.1:80::zone::z
a::127.0.0.1:80::sub_zone::
a::127.0.0.1:80::canary::false
a::127.0.0.1:80::priority::1
a::127.0.0.1:80::success_rate::-1
a::127.0.0.1:80::local_origin_success_rate::-1
b::observability_name::b
b::outlier::success_rate_average::99.5
b::outlier::success_rate_ejection_threshold::90
b::outlier::local_origin_success_rate_average::-1
b::outlier::local_origin_success_rate_ejection_threshold::-1
b::default_priority::max_connections::1024
b::default_priority::max_pending_requests::1024
b::default_priority::max_requests::1024
b::default_priority::max_retries::3
b::high_priority::max_connections::1024
b::high_priority::max_pending_requests::1024
b::high_priority::max_requests::1024
b::high_priority::max_retries::3
b::added_via_api::true
b::eds_service_name::eds
`);
  });

  it('as JSON: defaults left out, 64-bit numbers as strings', async () => {
    const { headers, body } = await get('/clusters?format=json');
    expect(headers['content-type']).toBe('application/json');
    expect(body.startsWith('{\n "cluster_statuses": [\n  {\n   "name": "a",\n')).toBe(true);
    const [a, b] = JSON.parse(body).cluster_statuses;
    expect(a.host_statuses).toEqual([
      {
        address: { socket_address: { address: '127.0.0.1', port_value: 80 } },
        stats: [
          { value: '2', name: 'cx_connect_fail' },
          { value: '3', name: 'cx_total' },
          { value: '4', name: 'rq_error' },
          { value: '5', name: 'rq_success' },
          { value: '6', name: 'rq_timeout' },
          { value: '9', name: 'rq_total' },
          { type: 'GAUGE', value: '1', name: 'cx_active' },
          { type: 'GAUGE', name: 'rq_active' },
        ],
        health_status: { failed_active_health_check: true, eds_health_status: 'UNHEALTHY' },
        weight: 2,
        hostname: 'host.test',
        priority: 1,
        locality: { region: 'r', zone: 'z' },
      },
    ]);
    expect(a.circuit_breakers.thresholds).toEqual([
      { max_connections: 1024, max_pending_requests: 1024, max_requests: 1024, max_retries: 3 },
      {
        priority: 'HIGH',
        max_connections: 1,
        max_pending_requests: 1024,
        max_requests: 1024,
        max_retries: 3,
      },
    ]);
    expect(b).toMatchObject({ added_via_api: true, success_rate_ejection_threshold: { value: 90 } });
    expect(b).not.toHaveProperty('local_origin_success_rate_ejection_threshold');
  });
});

describe('/listeners', () => {
  it('as text', async () => {
    expect((await get('/listeners')).body).toBe(
      'main::0.0.0.0:10000\nmain::[::1]:10001\npipe::/run/x.sock\n',
    );
  });

  it('as JSON', async () => {
    expect(JSON.parse((await get('/listeners?format=json')).body)).toEqual({
      listener_statuses: [
        {
          name: 'main',
          local_address: { socket_address: { address: '0.0.0.0', port_value: 10000 } },
          additional_local_addresses: [{ socket_address: { address: '::1', port_value: 10001 } }],
        },
        { name: 'pipe', local_address: { pipe: { path: '/run/x.sock' } } },
      ],
    });
  });

  it.each([
    ['', { graceful: false, skipExit: false, inboundOnly: false }],
    ['?graceful', { graceful: true, skipExit: false, inboundOnly: false }],
    ['?graceful&skip_exit&inboundonly', { graceful: true, skipExit: true, inboundOnly: true }],
  ])('/drain_listeners%s', async (query, options) => {
    expect(await post(`/drain_listeners${query}`)).toMatchObject({ status: 200, body: 'OK\n' });
    expect(state.done).toEqual([['drain', options]]);
  });

  it('refuses skip_exit alone', async () => {
    expect(await post('/drain_listeners?skip_exit')).toMatchObject({
      status: 400,
      body: 'skip_exit requires graceful\n',
    });
    expect(state.done).toEqual([]);
  });
});

describe('about the server', () => {
  it('/server_info', async () => {
    expect((await get('/server_info')).body).toBe(`{
 "version": "abc/1.38.0/Clean/RELEASE/BoringSSL",
 "state": "LIVE",
 "uptime_current_epoch": "5s",
 "uptime_all_epochs": "7s",
 "hot_restart_version": "11.104",
 "node": {
  "id": "node",
  "cluster": "cluster",
  "user_agent_name": "",
  "extensions": [],
  "client_features": [],
  "listening_addresses": [],
  "dynamic_parameters": {}
 }
}
`);
  });

  it.each([
    [ServerInfo_State.LIVE, 200, 'LIVE\n'],
    [ServerInfo_State.DRAINING, 503, 'DRAINING\n'],
    [ServerInfo_State.INITIALIZING, 503, 'INITIALIZING\n'],
    [ServerInfo_State.PRE_INITIALIZING, 503, 'PRE_INITIALIZING\n'],
  ])('/ready in state %i: %i', async (current, status, body) => {
    state.state = current;
    expect(await get('/ready')).toMatchObject({ status, body });
  });

  it('/memory prints every figure', async () => {
    expect(JSON.parse((await get('/memory')).body)).toEqual({
      allocated: '1',
      heap_size: '2',
      pageheap_unmapped: '0',
      pageheap_free: '0',
      total_thread_cache: '0',
      total_physical_bytes: '3',
      threads: [{ name: 'main_thread', allocated: '1', heap_size: '2' }],
    });
  });

  it('/certs', async () => {
    const { certificates } = JSON.parse((await get('/certs')).body);
    expect(certificates).toMatchObject([
      { ca_cert: [], cert_chain: [{ path: 'cert.pem', serial_number: '1f', days_until_expiration: '0' }] },
    ]);
  });

  it.each([
    ['/hot_restart_version', '11.104'],
    [
      '/contention',
      'Mutex contention tracing is not enabled. To enable, run Envoy with flag --enable-mutex-tracing.',
    ],
  ])('%s', async (path, body) => {
    expect((await get(path)).body).toBe(body);
  });

  it('/init_dump', async () => {
    expect(JSON.parse((await get('/init_dump')).body)).toEqual({
      unready_targets_dumps: [{ name: 'init manager', target_names: ['cluster a'] }],
    });
  });
});

describe('runtime', () => {
  it('prints layers and what holds, whatever the keys are', async () => {
    await post('/runtime_modify?x=2&y=%20z');
    expect((await get('/runtime')).body).toBe(`{
 "layers": [
  "static",
  "admin"
 ],
 "entries": {
  "__proto__": {
   "layer_values": [
    "p",
    ""
   ],
   "final_value": "p"
  },
  "x": {
   "layer_values": [
    "1",
    "2"
   ],
   "final_value": "2"
  },
  "y": {
   "layer_values": [
    "",
    " z"
   ],
   "final_value": " z"
  }
 }
}
`);
  });

  it('takes a form', async () => {
    expect(await post('/runtime_modify', 'x=a+b&z=%2B')).toMatchObject({ status: 200, body: 'OK\n' });
    expect(state.runtime).toEqual(
      new Map([
        ['x', 'a b'],
        ['z', '+'],
      ]),
    );
  });

  it('refuses nothing to do, and what the runtime refuses', async () => {
    const empty = await post('/runtime_modify');
    expect(empty.status).toBe(400);
    expect(empty.body).toMatch(/^usage: \/runtime_modify\?key1=value1/);
    expect(await post('/runtime_modify?refuse=1')).toMatchObject({
      status: 503,
      body: 'No admin layer specified',
    });
  });
});

describe('/logging', () => {
  it.each([
    ['', 'info', 'debug'],
    ['?level=&paths=', 'info', 'debug'],
    ['?level=trace', 'trace', 'trace'],
    ['?http=error', 'info', 'error'],
    ['?paths=admin:off,http:critical', 'off', 'critical'],
    ['?paths=http%3Awarning,', 'info', 'warning'],
  ])('%s', async (query, adminLevel, httpLevel) => {
    expect(await post(`/logging${query}`)).toMatchObject({
      status: 200,
      body: `active loggers:\n  admin: ${adminLevel}\n  http: ${httpLevel}\n\n`,
    });
  });

  it.each([
    ['?level=loud', 'unknown logger level'],
    ['?nobody=info', 'unknown logger name'],
    ['?paths=admin:off,nobody:info', 'unknown logger name'],
    ['?paths=admin:off,http:loud', 'unknown logger level'],
    ['?paths=admin', 'empty logger name or empty logger level'],
    ['?level=info&http=info', 'invalid number of parameters'],
  ])('%s changes nothing', async (query, problem) => {
    expect(await post(`/logging${query}`)).toMatchObject({
      status: 400,
      body:
        `error: ${problem}\n\nusage: /logging?<name>=<level> (change single level)\n` +
        'usage: /logging?paths=name1:level1,name2:level2,... (change multiple levels)\n' +
        'usage: /logging?level=<level> (change all levels)\n' +
        'levels: trace debug info warning error critical off \n' +
        'active loggers:\n  admin: info\n  http: debug\n\n',
    });
  });
});

describe('commands', () => {
  it.each([
    ['/healthcheck/fail', ['fail', true]],
    ['/healthcheck/ok', ['fail', false]],
    ['/reopen_logs', 'reopen'],
  ])('%s', async (path, done) => {
    expect(await post(path)).toMatchObject({ status: 200, body: 'OK\n' });
    expect(state.done).toEqual([done]);
  });

  it('/quitquitquit quits after its answer', async () => {
    const response = await post('/quitquitquit');
    expect(response.body).toBe('OK\n');
    expect(state.done).toEqual([]);
    response.afterwards?.();
    expect(state.done).toEqual(['quit']);
  });
});

describe('profilers', () => {
  it.each(['/cpuprofiler', '/heapprofiler'])('%s wants to know what', async (path) => {
    for (const query of ['', '?enable=x', '?enable=y&more=1']) {
      expect(await post(path + query)).toMatchObject({ status: 400, body: '?enable=<y|n>\n' });
    }
  });

  it('write files that a browser opens', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'admin-'));
    try {
      state.profilePath = join(folder, 'cpu');
      expect(await post('/cpuprofiler?enable=n')).toMatchObject({ status: 200, body: 'OK\n' });
      expect(await post('/cpuprofiler?enable=y')).toMatchObject({ status: 200, body: 'OK\n' });
      expect(await post('/cpuprofiler?enable=n')).toMatchObject({ status: 200, body: 'OK\n' });
      expect(JSON.parse(readFileSync(state.profilePath, 'utf8'))).toHaveProperty('nodes');

      state.profilePath = join(folder, 'heap');
      expect(await post('/heapprofiler?enable=n')).toMatchObject({ status: 400 });
      expect(await post('/heapprofiler?enable=y')).toMatchObject({ body: 'Starting heap profiler' });
      expect(await post('/heapprofiler?enable=y')).toMatchObject({ status: 400 });
      const stopped = await post('/heapprofiler?enable=n');
      expect(stopped.body).toBe(`Heap profiler stopped and data written to ${state.profilePath}.`);
      expect(JSON.parse(readFileSync(state.profilePath, 'utf8'))).toHaveProperty('head');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('tell when the file cannot be written', async () => {
    await post('/cpuprofiler?enable=y');
    expect(await post('/cpuprofiler?enable=n')).toMatchObject({ status: 500 });
    expect(await post('/cpuprofiler?enable=n')).toMatchObject({ status: 200 });
  });
});
