import { describe, expect, test } from 'vitest';
import { ask, ManagerRig, ok, respond } from './manager-rig.ts';

/** By Envoy's list (HTTP connection manager, "Statistics"); those of user agents come with the first of them. */
const COUNTERS = `downstream_cx_delayed_close_timeout downstream_cx_destroy downstream_cx_destroy_active_rq
  downstream_cx_destroy_local downstream_cx_destroy_local_active_rq downstream_cx_destroy_remote
  downstream_cx_destroy_remote_active_rq downstream_cx_drain_close downstream_cx_http1_total
  downstream_cx_http2_total downstream_cx_http3_total downstream_cx_idle_timeout
  downstream_cx_max_duration_reached downstream_cx_max_requests_reached
  downstream_cx_overload_disable_keepalive downstream_cx_protocol_error downstream_cx_rx_bytes_total
  downstream_cx_ssl_total downstream_cx_total downstream_cx_tx_bytes_total downstream_cx_upgrades_total
  downstream_flow_control_paused_reading_total downstream_flow_control_resumed_reading_total
  downstream_rq_1xx downstream_rq_2xx downstream_rq_3xx downstream_rq_4xx downstream_rq_5xx
  downstream_rq_completed downstream_rq_failed_path_normalization downstream_rq_header_timeout
  downstream_rq_http1_total downstream_rq_http2_total downstream_rq_http3_total downstream_rq_idle_timeout
  downstream_rq_max_duration_reached downstream_rq_non_relative_path downstream_rq_overload_close
  downstream_rq_redirected_with_normalized_path downstream_rq_rejected_via_ip_detection
  downstream_rq_response_before_rq_complete downstream_rq_rx_reset downstream_rq_timeout
  downstream_rq_too_large downstream_rq_too_many_premature_resets downstream_rq_total
  downstream_rq_tx_reset downstream_rq_ws_on_non_ws_route rs_too_large
  tracing.client_enabled tracing.health_check tracing.not_traceable tracing.random_sampling
  tracing.service_forced`;
const GAUGES = `downstream_cx_active downstream_cx_http1_active downstream_cx_http1_soft_drain
  downstream_cx_http2_active downstream_cx_http3_active downstream_cx_rx_bytes_buffered
  downstream_cx_ssl_active downstream_cx_tx_bytes_buffered downstream_cx_upgrades_active downstream_rq_active`;
const words = (text: string) => text.split(/\s+/);

describe('stats of a connection manager', () => {
  test('every documented one is there from the start', () => {
    const own = new ManagerRig().context.stats.names.filter((name) => name.startsWith('http.test.'));
    const expected = [...words(COUNTERS), ...words(GAUGES), 'downstream_cx_length_ms', 'downstream_rq_time'];
    expect(own.sort()).toEqual(expected.map((name) => `http.test.${name}`).sort());
  });

  test('a response counts when its head goes out', async () => {
    const rig = await ask({ upstream: { headers: (stream) => stream.sendHeaders(respond(200), false) } });
    expect([rig.stat('downstream_rq_2xx'), rig.stat('downstream_rq_completed')]).toEqual([1, 1]);
    expect(rig.stat('downstream_rq_active')).toBe(1);
  });

  test.each([
    ['counts', 'GET / HTTP/1.1\r\nhost: a\r\n\r\n', 0],
    ['before the request is complete', 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nab', 1],
  ])('downstream_rq_response_before_rq_complete: %s', async (_, request, count) => {
    const rig = new ManagerRig({ upstream: { headers: (stream) => ok(stream) } });
    await rig.send(request);
    expect(rig.stat('downstream_rq_response_before_rq_complete')).toBe(count);
  });

  test('the time of a request counts when its response was whole', async () => {
    const times = 'http.test.downstream_rq_time';
    const whole = await ask({});
    expect(whole.context.stats.samples(times)).toHaveLength(1);
    const cut = await ask({
      upstream: {
        headers(stream) {
          stream.sendHeaders(respond(200), false);
          stream.reset('local-reset');
        },
      },
    });
    expect(cut.context.stats.samples(times)).toHaveLength(0);
    expect([cut.stat('downstream_rq_tx_reset'), cut.stat('downstream_rq_rx_reset')]).toEqual([1, 1]);
  });

  test('requests of health checks are counted apart', async () => {
    const rig = await ask({
      upstream: {
        headers(stream) {
          stream.info.healthCheck = true;
          ok(stream);
        },
      },
    });
    expect(rig.stat('tracing.health_check')).toBe(1);
    expect([rig.stat('downstream_rq_2xx'), rig.stat('downstream_rq_completed')]).toEqual([0, 0]);
    expect(rig.lastLog.info.responseCode).toBe(200);
  });

  test('an interim response counts beside the one that follows', async () => {
    const rig = new ManagerRig({
      manager: { proxy_100_continue: true, via: 'v' },
      upstream: {
        headers: (stream) => stream.informational(respond(100, { 'keep-alive': 'x', 'x-i': '1' })),
        body(stream) {
          ok(stream);
          return true;
        },
      },
    });
    await rig.send('POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n');
    expect(rig.client.text).toBe('HTTP/1.1 100 Continue\r\nx-i: 1\r\n\r\n');
    await rig.send('x');
    expect(
      ['downstream_rq_1xx', 'downstream_rq_2xx', 'downstream_rq_completed'].map((name) => rig.stat(name)),
    ).toEqual([1, 1, 2]);
  });
});

describe('user agents', () => {
  const agent = (text: string) => `user-agent: ${text}`;

  test.each([
    ['app/1 iOS/17', 'ios'],
    ['android-app', 'android'],
    ['both iOS and android', 'ios'],
    ['Android, which Envoy does not mean', undefined],
    ['curl/8', undefined],
  ])('%s', async (text, device) => {
    const rig = new ManagerRig({ upstream: { headers() {} } });
    await rig.request('GET / HTTP/1.1', agent(text));
    ok(rig.streams[0] as never);
    await rig.run();
    // The first request of a connection decides for all.
    await rig.request('GET / HTTP/1.1', agent('curl'));
    rig.pair.client.close('reset');
    await rig.run();
    const { stats } = rig.context;
    const own = stats.names.filter((name) => name.includes('user_agent'));
    if (device === undefined) {
      expect(own).toEqual([]);
      return;
    }
    const prefix = `http.test.user_agent.${device}.`;
    expect(own.every((name) => name.startsWith(prefix))).toBe(true);
    expect(
      ['downstream_cx_total', 'downstream_rq_total', 'downstream_cx_destroy_remote_active_rq'].map((name) =>
        stats.value(prefix + name),
      ),
    ).toEqual([1, 2, 1]);
    expect(stats.samples(`${prefix}downstream_cx_length_ms`)).toHaveLength(1);
  });
});
