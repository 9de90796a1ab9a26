import { bench, describe } from 'vitest';
import { createFormatterFactory } from '../src/index.ts';
import { fullContext } from '../test/fixtures.ts';

const factory = createFormatterFactory();
const plain = fullContext();
const json = factory.fromConfig;
void json;
const custom = factory.text(
  '%START_TIME(%Y/%m/%d %H:%M:%S.%6f)% %REQ(:PATH):20% %COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%\n',
);

describe('format', () => {
  bench('default line', () => {
    factory.default.format(plain);
  });
  bench('custom line', () => {
    custom.format(plain);
  });
});
