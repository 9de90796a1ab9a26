/** The stats, from the table that the tests assert. */

const CONDITIONS = {
  traffic: 'there once the first connection of its kind was made',
  track_remaining: 'there with `track_remaining: true`',
  track_cluster_stats: 'there with `track_cluster_stats`; of requests that the router forwards',
  load_stats_config: 'there with `cluster_manager.load_stats_config`',
  threads: 'there when workers run on threads',
  http2: 'there for clusters that may speak HTTP/2',
  tls: 'there with the transport socket `envoy.transport_sockets.tls`',
};

/** @param {readonly import('../../../../kernel/stats/src/envoy-stats.ts').EnvoyStatTree[]} trees */
export function statSections(trees) {
  return trees
    .map(({ prefix, condition, stats }) => {
      const lines = ['counter', 'gauge', 'histogram'].flatMap((kind) => {
        const names = stats
          .filter((stat) => stat.kind === kind)
          .map(({ name, unit }) => `\`${name}\`${unit === 'milliseconds' ? ' (ms)' : ''}`);
        return names.length === 0 ? [] : [`- ${kind}s: ${names.join(', ')}`];
      });
      const note = condition === undefined ? '' : `${CONDITIONS[condition]}.\n\n`;
      return `### \`${prefix}\`\n\n${note[0]?.toUpperCase() ?? ''}${note.slice(1)}${lines.join('\n')}`;
    })
    .join('\n\n');
}
