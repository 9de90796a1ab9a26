import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '@dragoman/testing';

const INJECTED = 'envoy.resource_monitors.injected_resource';

/** A file whose pressure the overload manager of a test reads every few milliseconds. */
export class Pressure implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'dragoman-pressure-'));
  private readonly file = join(this.folder, 'pressure');

  constructor() {
    this.set(0);
  }

  set(value: number | string): void {
    writeFileSync(`${this.file}.new`, String(value));
    renameSync(`${this.file}.new`, this.file);
  }

  /** An `overload_manager` with what acts from a pressure of 0.9 upwards. */
  manager(parts: {
    actions?: readonly JsonObject[];
    points?: readonly string[];
    /** Further fields. */
    fields?: JsonObject;
  }): JsonObject {
    const triggers = [{ name: INJECTED, threshold: { value: 0.9 } }];
    return {
      overload_manager: {
        refresh_interval: '0.005s',
        resource_monitors: [
          {
            name: INJECTED,
            typed_config: {
              '@type':
                'type.googleapis.com/envoy.extensions.resource_monitors.injected_resource.v3.InjectedResourceConfig',
              filename: this.file,
            },
          },
        ],
        actions: (parts.actions ?? []).map((action) => ({ triggers, ...action })),
        loadshed_points: (parts.points ?? []).map((name) => ({ name, triggers })),
        ...parts.fields,
      },
    };
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true });
  }
}
