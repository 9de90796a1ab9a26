import { HealthFlag } from '@dragoman/core';

/** What outlier detection knows of one host, on main. */
export class WatchedHost {
  readonly identity: string;
  readonly address: string;
  /** Its row of outcomes; undefined where there is none left. */
  readonly row: number | undefined;
  ejected = false;
  ejections = 0;
  /** {@link Clock.now}; undefined before the first. */
  ejectedAt: number | undefined = undefined;
  returnedAt: number | undefined = undefined;
  /** By how many base ejection times it is ejected next. */
  backOff = 0;
  jitterMs = 0;
  /** Percent at the last interval, −1 while there were too few requests. */
  successRate = -1;
  localSuccessRate = -1;

  constructor(identity: string, address: string, row: number | undefined) {
    this.identity = identity;
    this.address = address;
    this.row = row;
  }

  get flags(): number {
    return this.ejected ? HealthFlag.failed_outlier_check : 0;
  }
}
