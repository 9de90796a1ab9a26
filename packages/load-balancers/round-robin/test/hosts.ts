import { Address, type Counter, type Gauge, type Host, type HostStats } from '@dragoman/core';

const stat = { name: '', inc() {}, dec() {}, add() {}, sub() {}, set() {}, value: () => 0 };
const counter: Counter = stat;
const gauge: Gauge = stat;
const stats: HostStats = {
  cxTotal: counter,
  cxActive: gauge,
  cxConnectFail: counter,
  rqTotal: counter,
  rqActive: gauge,
  rqSuccess: counter,
  rqError: counter,
  rqTimeout: counter,
};

/** Hosts 10.0.x.y:80 of these weights. */
export function hosts(...weights: readonly number[]): Host[] {
  return weights.map((weight, index) => ({
    address: Address.ip(`10.0.${index >> 8}.${index & 255}`, 80),
    hostname: '',
    clusterName: 'test',
    locality: { region: '', zone: '', subZone: '' },
    priority: 0,
    canary: false,
    metadata: new Map(),
    stats,
    weight,
    healthFlags: 0,
    activeRequests: 0,
  }));
}
