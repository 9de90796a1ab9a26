import type { RequestHeaders, TerminalHttpStream } from '@dragoman/core';
import { describe, expect, test } from 'vitest';
import { ManagerRig, ok, respond } from './manager-rig.ts';

/** Goes to `/next` when it is asked for anything else, as the router does for an upstream's redirect. */
function follow(stream: TerminalHttpStream, headers: RequestHeaders, body: readonly Buffer[] = []): void {
  if (headers.path === '/next') {
    ok(stream);
    return;
  }
  const request = headers.clone();
  request.path = '/next';
  stream.restart(request, respond(302, { location: '/next' }), body);
}

describe('a stream that begins anew', () => {
  test('is one request more of its connection', async () => {
    const rig = new ManagerRig({
      manager: { common_http_protocol_options: { max_requests_per_connection: 2 } },
      upstream: { headers: (stream, headers) => follow(stream, headers) },
    });
    await rig.request();
    expect(rig.response.header('connection')).toBe('close');
    expect(rig.stat('downstream_cx_max_requests_reached')).toBe(1);
    expect([rig.stat('downstream_rq_total'), rig.stat('downstream_rq_active')]).toEqual([2, 0]);
    expect([rig.stat('downstream_rq_completed'), rig.stat('downstream_rq_3xx')]).toEqual([1, 0]);
  });

  test('takes what is known of the connection along', async () => {
    const rig = new ManagerRig({
      manager: { scheme_header_transformation: { match_upstream: true } },
      upstream: {
        body: (stream, chunk, end) => {
          if (end) follow(stream, stream.requestHeaders, [Buffer.from(chunk)]);
          return true;
        },
      },
    });
    const head = 'POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 4\r\n\r\n';
    await rig.send(`${head}body`);
    expect(rig.logged).toEqual(['302 internal_redirect -', '200 via_upstream -']);
    const [first, second] = rig.context.logged.map(({ info }) => info);
    expect(second?.schemeMatchUpstream).toBe(true);
    // Envoy counts a body once more when it is sent on once more.
    expect([first?.bytesReceived, second?.bytesReceived]).toEqual([4, 8]);
    const bytes = head.length + 4;
    expect([first?.downstreamWireBytesReceived, second?.downstreamWireBytesReceived]).toEqual([bytes, bytes]);
    expect(rig.stat('downstream_cx_rx_bytes_total')).toBe(bytes);
    await rig.request('GET /next HTTP/1.1');
    expect(rig.lastLog.info.downstreamWireBytesReceived).toBe(36);
  });
});
