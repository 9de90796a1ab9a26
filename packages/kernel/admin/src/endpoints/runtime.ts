import type { Endpoint } from '../endpoint.ts';
import { json, ok, text } from '../request.ts';
import type { AdminRuntimeLayer } from '../state.ts';

export function runtime(): Endpoint[] {
  return [
    {
      path: '/runtime',
      help: 'print runtime values',
      handle: (state) => json(describe(state.runtimeLayers())),
    },
    {
      path: '/runtime_modify',
      help: 'set runtime values: ?key1=value1&key2=value2; an empty value takes back one set here before',
      mutates: true,
      handle: (state, query) => {
        if (query.entries.size === 0) {
          return text(
            'usage: /runtime_modify?key1=value1&key2=value2&keyN=valueN\n' +
              '       or send the parameters as form values\n' +
              'use an empty value to remove a previously added override',
            400,
          );
        }
        try {
          state.modifyRuntime(query.entries);
        } catch (error) {
          return text(error instanceof Error ? error.message : String(error), 503);
        }
        return ok();
      },
    },
  ];
}

/** The layers' names, and for each key its value in each layer (empty: none) and the one that holds. */
function describe(layers: readonly AdminRuntimeLayer[]): unknown {
  const keys = [...new Set(layers.flatMap(({ values }) => [...values.keys()]))].sort();
  // Keys come from files and requests: `__proto__` must be a key like any other.
  const entries: Record<string, unknown> = Object.create(null);
  for (const key of keys) {
    const values = layers.map((layer) => layer.values.get(key) ?? '');
    entries[key] = { layer_values: values, final_value: values.findLast((value) => value !== '') ?? '' };
  }
  return { layers: layers.map(({ name }) => name), entries };
}
