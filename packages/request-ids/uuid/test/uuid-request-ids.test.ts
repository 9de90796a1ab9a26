import { create, UuidRequestIdConfigSchema } from '@dragoman/api';
import { type RequestIds, ResponseHeaders, type TraceReason } from '@dragoman/core';
import { requestHeaders, testContext } from '@dragoman/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { uuidRequestId } from '../src/index.ts';

const UUID_4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const SAMPLED = '0123abcd-0000-9000-8000-000000000000';
const REASONS: TraceReason[] = ['not-traceable', 'sampled', 'service-forced', 'client-forced'];

function ids(config?: Parameters<typeof create<typeof UuidRequestIdConfigSchema>>[1]): RequestIds {
  const message = config === undefined ? undefined : create(UuidRequestIdConfigSchema, config);
  return uuidRequestId.create(message as never, testContext());
}

const withId = (id: string) => requestHeaders({ 'x-request-id': id });

describe('set', () => {
  it('makes an id where there is none, and another one when forced', () => {
    const headers = requestHeaders();
    const made = ids();
    made.set(headers, false, true);
    const first = made.get(headers);
    expect(first).toMatch(UUID_4);
    made.set(headers, false, true);
    expect(made.get(headers)).toBe(first);
    made.set(headers, true, true);
    expect(made.get(headers)).toMatch(UUID_4);
    expect(made.get(headers)).not.toBe(first);
    expect(headers.getAll('x-request-id')).toHaveLength(1);
  });

  it('takes an empty id for none', () => {
    const headers = withId('');
    ids().set(headers, false, true);
    expect(headers.get('x-request-id')).toMatch(UUID_4);
  });

  it.each([
    [true, SAMPLED],
    [false, '0123abcd-0000-4000-8000-000000000000'],
  ])('keeps the trace reason of an id that stays: %s', (keep, expected) => {
    const headers = withId(SAMPLED);
    ids().set(headers, false, keep);
    expect(headers.get('x-request-id')).toBe(expected);
  });

  it('leaves alone what is not a UUID', () => {
    const headers = withId('my-own-id');
    ids().set(headers, false, false);
    expect(headers.get('x-request-id')).toBe('my-own-id');
  });
});

describe('the trace reason', () => {
  it('is carried in the version digit', () => {
    const made = ids();
    const headers = withId('0123abcd-0000-4000-8000-000000000000');
    for (const [reason, digit] of [
      ['sampled', '9'],
      ['client-forced', 'b'],
      ['service-forced', 'a'],
      ['not-traceable', '4'],
    ] as const) {
      made.setTraceReason(headers, reason);
      expect(headers.get('x-request-id')).toBe(`0123abcd-0000-${digit}000-8000-000000000000`);
      expect(made.traceReason(headers)).toBe(reason);
    }
  });

  it.each(['', 'x', '0123abcd-0000-9000-8000-00000000000', '0123abcd-0000-9000-8000-0000000000000'])(
    'is neither read from %j nor written into it',
    (id) => {
      const made = ids();
      const headers = withId(id);
      made.setTraceReason(headers, 'service-forced');
      expect(headers.get('x-request-id')).toBe(id);
      expect(made.traceReason(headers)).toBe('not-traceable');
    },
  );

  it('needs an id', () => {
    const headers = requestHeaders();
    ids().setTraceReason(headers, 'sampled');
    expect(headers.has('x-request-id')).toBe(false);
    expect(ids().traceReason(headers)).toBe('not-traceable');
  });

  it('is not packed when the config says so', () => {
    const made = ids({ packTraceReason: false });
    const headers = withId('0123abcd-0000-4000-8000-000000000000');
    made.setTraceReason(headers, 'sampled');
    expect(made.traceReason(headers)).toBe('not-traceable');
    made.set(withId(SAMPLED), false, false);
    expect(headers.get('x-request-id')).toBe('0123abcd-0000-4000-8000-000000000000');
  });
});

describe('toInteger', () => {
  it.each([
    ['fffffff', undefined],
    ['fffffffz-0012-0110-00ff-0c00400600ff', undefined],
    ['', undefined],
    ['+0000001-0000-0000-0000-000000000000', undefined],
    ['00000001-0000-0000-0000-000000000000', 1],
    ['000000ff-0000-0000-0000-000000000000', 255],
    ['FFFFFFFF-0012-0110-00ff-0c00400600ff', 4_294_967_295],
    ['0000000f', 15],
  ])('of %j', (id, value) => {
    expect(ids().toInteger(withId(id))).toBe(value);
  });

  it('needs an id', () => expect(ids().toInteger(requestHeaders())).toBeUndefined());
});

describe('setInResponse', () => {
  it('copies the id, and leaves the response alone where there is none', () => {
    const response = new ResponseHeaders();
    response.append('x-request-id', 'upstream');
    ids().setInResponse(response, requestHeaders());
    expect(response.get('x-request-id')).toBe('upstream');
    ids().setInResponse(response, withId('mine'));
    expect(response.getAll('x-request-id')).toEqual(['mine']);
  });
});

describe('the config', () => {
  it('samples traces by the id unless told otherwise', () => {
    expect(ids().useForTraceSampling).toBe(true);
    expect(ids({}).useForTraceSampling).toBe(true);
    expect(ids({ useRequestIdForTraceSampling: false }).useForTraceSampling).toBe(false);
  });
});

it('throws on no id whatever', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.constantFrom(...REASONS),
      fc.boolean(),
      (id, reason, force) => {
        const made = ids();
        const headers = withId(id);
        made.set(headers, force, !force);
        made.setTraceReason(headers, reason);
        expect(made.get(headers)).toBe(headers.get('x-request-id'));
        if (made.get(headers).length === 36) expect(made.traceReason(headers)).toBe(reason);
      },
    ),
  );
});
