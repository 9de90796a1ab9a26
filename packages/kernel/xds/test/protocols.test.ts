import {
  create,
  DeltaDiscoveryResponseSchema,
  DiscoveryResponseSchema,
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  type DiscoveryRequest,
  type DiscoveryResponse,
} from '@dragoman/api';
import { describe, expect, it } from 'vitest';
import { DeltaProtocol } from '../src/delta-protocol.ts';
import { nackStatus } from '../src/nack.ts';
import type { Protocol } from '../src/protocol.ts';
import { SotwProtocol } from '../src/sotw-protocol.ts';
import { describe as shown } from './support/rig.ts';

type Sotw = Protocol<DiscoveryRequest, DiscoveryResponse>;
type Delta = Protocol<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

/** What a machine is told, and what it says then: `-` when nothing is due. */
class Machine {
  readonly interest = { wildcard: false, names: new Set<string>() };
  readonly known = new Map<string, string>();
  readonly protocol: Sotw | Delta;

  constructor(kind: string) {
    const interest = () => this.interest;
    this.protocol =
      kind === 'sotw'
        ? new SotwProtocol('t/x.T', interest)
        : new DeltaProtocol('t/x.T', interest, () => this.known);
    this.protocol.opened(true);
  }

  /** `want a b`, `want *`, `open`, `other` (server), `ok 1 n1`, `bad 2 n2`, `late 1 n1`, `got n`, `know a 1`. */
  tell(command: string): string {
    const [verb, ...args] = command.split(' ');
    const { protocol, interest } = this;
    const [version = '', nonce = version] = args;
    const incoming = { nonce, version, resources: [], removed: [] };
    switch (verb) {
      case 'want':
        interest.wildcard = args.includes('*');
        interest.names.clear();
        for (const name of args) if (name !== '*') interest.names.add(name);
        protocol.interestChanged();
        break;
      case 'open':
      case 'other':
        protocol.opened(verb === 'open');
        break;
      case 'got':
        protocol.received(
          create(protocol.stateOfTheWorld ? DiscoveryResponseSchema : DeltaDiscoveryResponseSchema, {
            nonce,
          }) as never,
        );
        break;
      case 'ok':
        protocol.settled(incoming, undefined);
        break;
      case 'bad':
        protocol.settled(incoming, nackStatus([{ path: '', message: 'no' }]));
        break;
      case 'late':
        protocol.settledLate(incoming, undefined);
        break;
      case 'know':
        this.known.set(version, nonce);
        break;
      default:
        throw new Error(verb);
    }
    return protocol.pending ? shown(protocol.take()).slice('T '.length) || '(empty)' : '-';
  }
}

type Steps = readonly (readonly [command: string, request: string])[];

describe('the state of the world', () => {
  it.each<[what: string, steps: Steps]>([
    [
      'says nothing while nothing is wanted',
      [
        ['open', '-'],
        ['want', '-'],
        ['open', '-'],
      ],
    ],
    [
      'asks for everything without names',
      [
        ['want *', 'v []'],
        ['ok 1 n1', 'v1 n1 []'],
        ['open', 'v1 []'],
      ],
    ],
    [
      'names the wildcard once names were named',
      [
        ['want *', 'v []'],
        ['want * a', 'v [*,a]'],
        ['want *', 'v [*]'],
        ['want', 'v []'],
        ['want a', 'v [a]'],
      ],
    ],
    [
      'may fall back on no names on a new stream',
      [
        ['want * a', 'v [*,a]'],
        ['want *', 'v [*]'],
        ['open', 'v []'],
      ],
    ],
    [
      'takes back the last name',
      [
        ['want a', 'v [a]'],
        ['want', 'v []'],
        ['want', 'v []'],
        ['open', '-'],
      ],
    ],
    [
      'keeps its version when it refuses',
      [
        ['want a', 'v [a]'],
        ['ok 1 n1', 'v1 n1 [a]'],
        ['bad 2 n2', 'v1 n2 [a] NACK 3: no'],
        ['want b', 'v1 [b]'],
      ],
    ],
    [
      'answers with the nonce of the response, and asks with the newest',
      [
        ['want a', 'v [a]'],
        ['got 1 n1', '-'],
        ['got 2 n2', '-'],
        ['want b', 'v n2 [b]'],
        ['ok 1 n1', 'v1 n1 [b]'],
        ['ok 2 n2', 'v2 n2 [b]'],
      ],
    ],
    [
      'forgets nonces with the stream, and not the version',
      [
        ['want a', 'v [a]'],
        ['got 1 n1', '-'],
        ['ok 1 n1', 'v1 n1 [a]'],
        ['open', 'v1 [a]'],
      ],
    ],
    [
      'forgets the version with the server',
      [
        ['want a', 'v [a]'],
        ['ok 1 n1', 'v1 n1 [a]'],
        ['other', 'v [a]'],
      ],
    ],
    [
      'forgets the version with the last who wants anything',
      [
        ['want a', 'v [a]'],
        ['ok 1 n1', 'v1 n1 [a]'],
        ['want', 'v []'],
        ['want b', 'v [b]'],
      ],
    ],
    [
      'takes over late what an older stream has brought',
      [
        ['want a', 'v [a]'],
        ['open', 'v [a]'],
        ['late 1 n1', '-'],
        ['want b', 'v1 [b]'],
      ],
    ],
  ])('%s', (_, steps) => {
    const machine = new Machine('sotw');
    expect(steps.map(([command]) => [command, machine.tell(command)])).toEqual(steps);
  });
});

describe('incremental', () => {
  it.each<[what: string, steps: Steps]>([
    [
      'says nothing while nothing is wanted',
      [
        ['open', '-'],
        ['want', '-'],
        ['open', '-'],
      ],
    ],
    [
      'asks for everything without names',
      [
        ['want *', '(empty)'],
        ['ok 1 n1', 'n1'],
        ['open', '(empty)'],
      ],
    ],
    [
      'names the wildcard beside names',
      [
        ['want * a', '+* +a'],
        ['want *', '-a'],
        ['open', '(empty)'],
      ],
    ],
    [
      'takes back a wildcard that was never named',
      [
        ['want *', '(empty)'],
        ['want * a', '+a'],
        ['want a', '-*'],
        ['want', '-a'],
        ['want *', '+*'],
      ],
    ],
    [
      'says only what is new',
      [
        ['want a b', '+a +b'],
        ['want b c', '+c -a'],
        ['want c b', '-'],
        ['want', '-b -c'],
        ['open', '-'],
      ],
    ],
    [
      'answers each response, with what is new besides',
      [
        ['want a', '+a'],
        ['ok 1 n1', 'n1'],
        ['bad 2 n2', 'n2 NACK 3: no'],
        ['want b', '+b -a'],
      ],
    ],
    [
      'says what it has to the same server',
      [
        ['want a b', '+a +b'],
        ['know a 7', '-'],
        ['open', '+a +b {a:7}'],
        ['open', '+a +b {a:7}'],
      ],
    ],
    [
      'says nothing of it to another',
      [
        ['want a', '+a'],
        ['know a 7', '-'],
        ['other', '+a'],
        ['open', '+a {a:7}'],
      ],
    ],
    [
      'drops answers with the stream',
      [
        ['want a', '+a'],
        ['open', '+a'],
        ['late 1 n1', '-'],
      ],
    ],
    [
      'says what everything was',
      [
        ['want *', '(empty)'],
        ['know x 1', '-'],
        ['open', '{x:1}'],
      ],
    ],
  ])('%s', (_, steps) => {
    const machine = new Machine('delta');
    expect(steps.map(([command]) => [command, machine.tell(command)])).toEqual(steps);
  });
});
