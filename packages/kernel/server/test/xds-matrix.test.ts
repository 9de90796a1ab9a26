import { matrix } from './support/xds-matrix.ts';
import { VARIANTS } from './support/xds-plane.ts';

matrix(
  VARIANTS.filter(({ delta }) => !delta),
  'inline',
);
