export { GuardDog, type KillReason } from './guard-dog.ts';
export { Heart, HeartbeatPage } from './heartbeat.ts';
export { beatIntervalMs, readWatchdogs, type WatchdogConfig, type WatchdogTimeouts } from './timeouts.ts';
