import { ClusterSchema } from '@dragoman/api';
import type { DiscoveredResource } from '@dragoman/core';
import type { ClusterSources } from '@dragoman/upstream';
import type { ClusterDirectory } from '../cluster-directory.ts';
import type { Refusals } from './refusals.ts';
import { nameOf, WildcardDiscovery, type WildcardOptions } from './wildcard-discovery.ts';

export interface CdsOptions extends WildcardOptions {
  readonly directory: ClusterDirectory;
  readonly sources: ClusterSources;
}

const CDS = { type: ClusterSchema, label: 'cds', statPrefix: 'cluster_manager.cds' } as const;

/** The clusters of a control plane (CDS). */
export class ClusterDiscovery extends WildcardDiscovery<typeof ClusterSchema> {
  private readonly options: CdsOptions;

  constructor(options: CdsOptions) {
    super(options, CDS);
    this.options = options;
  }

  protected override get failures(): ClusterDirectory['failures'] {
    return this.options.directory.failures;
  }

  protected override async apply(
    changed: readonly DiscoveredResource<typeof ClusterSchema>[],
    gone: readonly string[],
    versionInfo: string,
    refusals: Refusals,
  ): Promise<readonly Promise<boolean>[]> {
    const { directory, sources, wallTime } = this.options;
    const changes: Promise<boolean>[] = [];
    for (const resource of changed) {
      const name = nameOf(resource);
      // As in Envoy: what the bootstrap says of a cluster stays.
      if (!this.names.has(name) && directory.has(name) && !directory.isDynamic(name)) continue;
      const { message, version } = resource;
      refusals.try(resource.name, () => {
        const done = directory.begin(message, sources, wallTime(), version || versionInfo);
        this.names.add(name);
        changes.push(done);
        done.catch((error: unknown) => {
          if (!directory.has(name)) this.names.delete(name);
          this.lateFailure(name, error);
        });
      });
    }
    await Promise.all(
      gone.map(async (name) => {
        this.names.delete(name);
        await directory.remove(name, sources);
      }),
    );
    return changes;
  }
}
