import { describe, it } from 'vitest';
import { skipUnbuilt, UNBUILT } from './support/sidecar.ts';
import { throughTrouble } from './support/troubled-upstreams.ts';

describe.skipIf(skipUnbuilt)(`upstreams in trouble${UNBUILT}`, () => {
  it('one killed, one slow, one flapping: no request fails', () => throughTrouble(6_000, 2));
});
