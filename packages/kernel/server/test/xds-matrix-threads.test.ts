import { THREADS } from './dynamic.ts';
import { CASES } from './support/xds-cases.ts';
import { matrix } from './support/xds-matrix.ts';
import { VARIANTS } from './support/xds-plane.ts';

const [, [, threads]] = THREADS;
const only = (...names: string[]) => ({
  cases: CASES.filter(({ name }) => names.includes(name)),
  cuts: ['sent'] as const,
});

matrix([VARIANTS[2]], threads, only('SRDS', 'ECDS'));
matrix([VARIANTS[1]], threads, only('SDS'));
