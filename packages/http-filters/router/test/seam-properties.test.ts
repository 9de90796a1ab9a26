import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Rig, type Try } from './rig.ts';

/** One exchange, from the side of its upstream: what may come from there, and whether the proxy has let go of it. */
class Peer {
  readonly attempt: Try;
  private state: 'waiting' | 'open' | 'answering' | 'over' = 'waiting';

  constructor(attempt: Try) {
    this.attempt = attempt;
  }

  get givenUp(): boolean {
    return this.attempt.events.some((event) => event.startsWith('reset') || event === 'cancelled');
  }

  /** What went upstream of the request's body. */
  get body(): string {
    return this.attempt.events
      .filter((event) => event.startsWith('body:'))
      .map((event) => event.slice(5).replace(/ end$/, ''))
      .join('');
  }

  get requestEnded(): boolean {
    return this.attempt.events.some((event) => event.endsWith(' end'));
  }

  /** Nothing of it is left: complete both ways, or ended by one of the two. */
  get isGone(): boolean {
    return this.givenUp || this.failed || (this.state === 'over' && this.requestEnded);
  }

  private failed = false;

  ready(): void {
    if (this.is('waiting')) {
      this.state = 'open';
      this.attempt.ready();
    }
  }

  fail(reason: 'overflow' | 'timeout' | 'remote-connection-failure'): void {
    if (this.is('waiting')) {
      this.failed = true;
      this.state = 'over';
      this.attempt.fail(reason);
    }
  }

  lose(): void {
    if (this.is('open') || this.is('answering')) {
      this.failed = true;
      this.state = 'over';
      this.attempt.lose();
    }
  }

  inform(): void {
    if (this.is('open')) this.attempt.inform(103);
  }

  respond(status: number, endStream: boolean): void {
    if (!this.is('open')) return;
    this.state = endStream ? 'over' : 'answering';
    this.attempt.respond({ ':status': String(status), location: 'http://other/' }, endStream);
  }

  send(endStream: boolean): void {
    if (!this.is('answering')) return;
    if (endStream) this.state = 'over';
    this.attempt.decoder.onBody(Buffer.from('b'), endStream, true);
  }

  stop(): void {
    this.attempt.mayGoOn = false;
  }

  goOn(): void {
    this.attempt.mayGoOn = true;
    if (!this.givenUp && !this.failed) this.attempt.decoder.onWritable();
  }

  private is(state: typeof this.state): boolean {
    return this.state === state && !this.givenUp;
  }
}

/** The connection manager and its client. */
class Client {
  readonly rig: Rig;
  sent = '';
  paused = false;
  private resumes = 0;

  constructor(rig: Rig) {
    this.rig = rig;
  }

  get answers(): number {
    const { replies, responseHeaders, restarted } = this.rig.stream;
    return replies.length + (responseHeaders === undefined ? 0 : 1) + restarted.length;
  }

  /** The stream is over, but for a reply that filters may hold. */
  get over(): boolean {
    const { replies, calls, ended, restarted } = this.rig.stream;
    return replies.length + restarted.length > 0 || ended || calls.some((call) => call.startsWith('reset'));
  }

  send(text: string, endStream: boolean): void {
    this.look();
    if (this.paused || this.over || this.rig.stream.requestComplete) return;
    this.sent += text;
    if (!this.rig.body(text, endStream)) this.paused = true;
  }

  end(): void {
    this.look();
    if (this.paused || this.over || this.rig.stream.requestComplete) return;
    this.rig.trailers();
  }

  look(): void {
    const resumes = this.rig.stream.calls.filter((call) => call === 'resumeRequestBody').length;
    if (resumes > this.resumes) this.paused = false;
    this.resumes = resumes;
  }
}

type Step = (peer: Peer, client: Client) => void;

const STEPS: Readonly<Record<string, Step>> = {
  ready: (peer) => peer.ready(),
  overflow: (peer) => peer.fail('overflow'),
  'connect failure': (peer) => peer.fail('remote-connection-failure'),
  'connect timeout': (peer) => peer.fail('timeout'),
  reset: (peer) => peer.lose(),
  '103': (peer) => peer.inform(),
  '200': (peer) => peer.respond(200, true),
  '200 with a body': (peer) => peer.respond(200, false),
  '302': (peer) => peer.respond(302, true),
  '302 with a body': (peer) => peer.respond(302, false),
  '425': (peer) => peer.respond(425, true),
  '503': (peer) => peer.respond(503, true),
  '503 with a body': (peer) => peer.respond(503, false),
  body: (peer) => peer.send(false),
  'last of the body': (peer) => peer.send(true),
  'reads no more': (peer) => peer.stop(),
  'reads again': (peer) => peer.goOn(),
  '10 ms': (_peer, { rig }) => rig.clock.advance(10),
  '45 ms': (_peer, { rig }) => rig.clock.advance(45),
  '300 ms': (_peer, { rig }) => rig.clock.advance(300),
  'no host': (_peer, { rig }) => void (rig.hasHost = false),
  'a host': (_peer, { rig }) => void (rig.hasHost = true),
  'no cluster': (_peer, { rig }) => void (rig.hasCluster = false),
  'request body': (_peer, client) => client.send(`${client.sent.length % 10}abc`, false),
  'request end': (_peer, client) => client.send('z', true),
  'request trailers': (_peer, client) => client.end(),
  'client reads': (_peer, client) => void (client.over || client.rig.filter.onDownstreamWritable?.()),
};

const scripts = fc.record({
  hedge: fc.boolean(),
  mirror: fc.boolean(),
  redirect: fc.constantFrom('none', 'refused', 'followed'),
  webSocket: fc.boolean(),
  maxRetries: fc.constantFrom(0, 1, 1000),
  numRetries: fc.integer({ min: 0, max: 3 }),
  maxStreamDurationMs: fc.constantFrom(0, 60),
  complete: fc.boolean(),
  steps: fc.array(fc.tuple(fc.constantFrom(...Object.keys(STEPS)), fc.nat(5), fc.boolean()), {
    maxLength: 60,
  }),
});
type Script = typeof scripts extends fc.Arbitrary<infer T> ? T : never;

function rigOf({
  hedge,
  mirror,
  redirect,
  webSocket,
  maxRetries,
  numRetries,
  maxStreamDurationMs,
}: Script): Rig {
  return new Rig({
    bufferLimit: 20,
    maxRetries,
    maxStreamDurationMs,
    restarts: redirect === 'followed',
    headers: webSocket ? { connection: 'upgrade', upgrade: 'websocket' } : {},
    action: {
      timeout: '0.5s',
      retry_policy: {
        retry_on: '5xx,reset,connect-failure,retriable-status-codes',
        retriable_status_codes: [425],
        num_retries: numRetries,
        per_try_timeout: '0.05s',
        per_try_idle_timeout: '0.04s',
      },
      hedge_policy: { hedge_on_per_try_timeout: hedge },
      ...(redirect === 'none' ? {} : { internal_redirect_policy: {} }),
      ...(mirror ? { request_mirror_policies: [{ cluster: 'm' }] } : {}),
    },
  });
}

test('retries, hedging, mirrors, redirects and upgrades together: one answer, whole bodies, nothing left behind', () => {
  fc.assert(
    fc.property(scripts, (script) => {
      const rig = rigOf(script);
      const client = new Client(rig);
      const peers = new Map<Try, Peer>();
      const peerOf = (attempt: Try): Peer => {
        const known = peers.get(attempt) ?? new Peer(attempt);
        peers.set(attempt, known);
        return known;
      };
      rig.request(script.complete && !script.webSocket);
      for (const [step, pick, ofMirror] of script.steps) {
        const tries = ofMirror && rig.mirrored.length > 0 ? rig.mirrored : rig.tries;
        STEPS[step](peerOf(tries[pick % tries.length]), client);
        client.look();
        expect(client.answers).toBeLessThanOrEqual(1);
        expect(rig.retriesUnderWay).toBeLessThanOrEqual(1);
      }

      // Nothing waits for a client that is never to be read again.
      for (const attempt of rig.tries) peerOf(attempt).ready();
      for (const attempt of rig.tries) peerOf(attempt).goOn();
      client.look();
      if (!client.over && rig.tries.length > 0) expect(client.paused).toBe(false);

      if (rig.stream.requestComplete && !client.over) {
        rig.clock.advance(1000);
        if (rig.stream.responseHeaders?.status !== 101) expect(client.answers).toBe(1);
      }
      const { length } = rig.tries;
      expect(length).toBeLessThanOrEqual(script.numRetries + 1);
      rig.complete();
      // A copy may outlive the request, for as long as its own time lasts.
      if (rig.mirrored.length === 0) expect(rig.clock.pendingTimers).toBe(0);
      rig.clock.advance(1000);
      expect([rig.retriesUnderWay, rig.clock.pendingTimers]).toEqual([0, 0]);
      rig.clock.advance(100_000);
      expect(rig.tries).toHaveLength(length);
      for (const attempt of [...rig.tries, ...rig.mirrored]) {
        const peer = peerOf(attempt);
        expect([attempt.events, peer.isGone]).toEqual([attempt.events, true]);
        expect(
          attempt.events.filter((event) => event.startsWith('reset') || event === 'cancelled').length,
        ).toBeLessThanOrEqual(1);
        expect(client.sent.startsWith(peer.body)).toBe(true);
        if (peer.requestEnded) expect([peer.body, rig.stream.requestComplete]).toEqual([client.sent, true]);
      }
      for (const body of rig.stream.restarted) expect(body).toBe(client.sent);
    }),
    { numRuns: 4000 },
  );
});
