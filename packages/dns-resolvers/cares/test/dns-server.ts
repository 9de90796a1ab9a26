import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

export interface Question {
  readonly name: string;
  readonly type: 'A' | 'AAAA' | 'other';
}

/** What the server says: addresses with a TTL, a response code, bytes of the test's own, or nothing. */
export type Answer =
  | { readonly ips: readonly string[]; readonly ttl?: number }
  | 'nxdomain'
  | 'servfail'
  | 'refused'
  | 'silence'
  | 'garbage'
  | 'half'
  | { readonly truncated: true; readonly ips: readonly string[] };

const CODES = { servfail: 2, nxdomain: 3, refused: 5 } as const;

/** A DNS server of one test, over UDP and TCP on one port of the loopback. */
export class DnsServer {
  readonly questions: Question[] = [];
  readonly overTcp: Question[] = [];
  private readonly answer: (question: Question) => Answer;
  private readonly udp: Socket = createSocket('udp4');
  private readonly tcp: Server = createServer();

  private constructor(answer: (question: Question) => Answer) {
    this.answer = answer;
  }

  static async start(answer: (question: Question) => Answer): Promise<DnsServer> {
    const server = new DnsServer(answer);
    server.tcp.listen(0, '127.0.0.1');
    await once(server.tcp, 'listening');
    server.udp.bind((server.tcp.address() as { port: number }).port, '127.0.0.1');
    await once(server.udp, 'listening');
    server.serve();
    return server;
  }

  /** `ip:port`. */
  get address(): string {
    return `127.0.0.1:${this.udp.address().port}`;
  }

  /** Names and types asked, as `A web.example`. */
  get asked(): string[] {
    return this.questions.map(({ name, type }) => `${type} ${name}`);
  }

  async close(): Promise<void> {
    this.udp.close();
    this.tcp.close();
    await once(this.tcp, 'close');
  }

  private serve(): void {
    this.udp.on('message', (query, peer) => {
      const question = parse(query);
      this.questions.push(question);
      const bytes = this.bytes(query, question, false);
      if (bytes !== undefined) this.udp.send(bytes, peer.port, peer.address);
    });
    this.tcp.on('connection', (socket) => {
      socket.on('error', () => socket.destroy());
      socket.on('data', (data: Buffer) => {
        const query = data.subarray(2);
        const question = parse(query);
        this.overTcp.push(question);
        const bytes = this.bytes(query, question, true);
        if (bytes === undefined) return;
        const length = Buffer.alloc(2);
        length.writeUInt16BE(bytes.length);
        socket.end(Buffer.concat([length, bytes]));
      });
    });
  }

  private bytes(query: Buffer, question: Question, tcp: boolean): Buffer | undefined {
    const answer = this.answer(question);
    if (answer === 'silence') return undefined;
    if (answer === 'garbage') return Buffer.concat([query.subarray(0, 2), Buffer.alloc(40, 0xff)]);
    if (typeof answer === 'string' && answer !== 'half') return respond(query, CODES[answer], false, []);
    if (answer === 'half') {
      const whole = respond(query, 0, false, records(question, ['10.0.0.1', '10.0.0.2'], 60));
      return whole.subarray(0, whole.length - 7);
    }
    const truncated = 'truncated' in answer && !tcp;
    const ttl = 'ttl' in answer ? (answer.ttl ?? 60) : 60;
    return respond(query, 0, truncated, truncated ? [] : records(question, answer.ips, ttl));
  }
}

function parse(query: Buffer): Question {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at]; length > 0; length = query[at]) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += length + 1;
  }
  const type = query.readUInt16BE(at + 1);
  // c-ares may spell names in mixed case to make forged answers harder.
  return { name: labels.join('.').toLowerCase(), type: type === 1 ? 'A' : type === 28 ? 'AAAA' : 'other' };
}

function questionEnd(query: Buffer): number {
  let at = 12;
  while (query[at] > 0) at += query[at] + 1;
  return at + 5;
}

function records({ type }: Question, ips: readonly string[], ttl: number): Buffer[] {
  const wanted = ips.filter((ip) => (type === 'A' ? !ip.includes(':') : type === 'AAAA' && ip.includes(':')));
  return wanted.map((ip) => {
    const data = type === 'A' ? Buffer.from(ip.split('.').map(Number)) : ipv6(ip);
    const head = Buffer.alloc(12);
    head.writeUInt16BE(0xc00c, 0);
    head.writeUInt16BE(type === 'A' ? 1 : 28, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt32BE(ttl, 6);
    head.writeUInt16BE(data.length, 10);
    return Buffer.concat([head, data]);
  });
}

/** Of the form `x::y` only, which is all that the tests use. */
function ipv6(ip: string): Buffer {
  const [left, right] = ip.split('::').map((side) => side.split(':').filter(Boolean));
  const groups = [...left, ...new Array(8 - left.length - right.length).fill('0'), ...right];
  const data = Buffer.alloc(16);
  groups.forEach((group, index) => {
    data.writeUInt16BE(Number.parseInt(group, 16), index * 2);
  });
  return data;
}

function respond(query: Buffer, code: number, truncated: boolean, answers: readonly Buffer[]): Buffer {
  const head = Buffer.from(query.subarray(0, questionEnd(query)));
  head.writeUInt16BE(0x8180 | code | (truncated ? 0x0200 : 0), 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(answers.length, 6);
  head.writeUInt16BE(0, 8);
  head.writeUInt16BE(0, 10);
  return Buffer.concat([head, ...answers]);
}
