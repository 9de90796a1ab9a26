import type { Endpoint, EndpointParameter } from '../endpoint.ts';
import { Profiler } from '../profiler.ts';
import { type AdminResponse, ok, type Query, text } from '../request.ts';

const ENABLE: EndpointParameter = {
  name: 'enable',
  help: 'Start it, or stop it and write the file',
  choices: ['y', 'n'],
};

/** Profilers of the main thread; they write to `admin.profile_path`. */
export function profiling(): Endpoint[] {
  const profiler = new Profiler();
  return [
    {
      path: '/cpuprofiler',
      help: 'start or stop the CPU profiler',
      mutates: true,
      parameters: [ENABLE],
      handle: async (state, query) => {
        const enable = parse(query);
        if (typeof enable !== 'boolean') return enable;
        if (enable && !profiler.cpuRunning) {
          const problem = await attempt(() => profiler.startCpu());
          if (problem !== undefined) return text('failure to start the profiler', 500);
        } else if (!enable && profiler.cpuRunning) {
          const problem = await attempt(() => profiler.stopCpu(state.profilePath));
          if (problem !== undefined) return text(`failure to write the profile: ${problem}`, 500);
        }
        return ok();
      },
    },
    {
      path: '/heapprofiler',
      help: 'start or stop the heap profiler',
      mutates: true,
      parameters: [ENABLE],
      handle: async (state, query) => {
        const enable = parse(query);
        if (typeof enable !== 'boolean') return enable;
        if (enable) {
          if (profiler.heapRunning) return text('Fail to start heap profiler: already started', 400);
          const problem = await attempt(() => profiler.startHeap());
          return problem === undefined
            ? text('Starting heap profiler')
            : text('Fail to start the heap profiler', 500);
        }
        if (!profiler.heapRunning) return text('Fail to stop heap profiler: not started', 400);
        const problem = await attempt(() => profiler.stopHeap(state.profilePath));
        return problem === undefined
          ? text(`Heap profiler stopped and data written to ${state.profilePath}.`)
          : text(`failure to write the profile: ${problem}`, 500);
      },
    },
  ];
}

function parse(query: Query): boolean | AdminResponse {
  const enable = query.get('enable');
  if (query.entries.size !== 1 || (enable !== 'y' && enable !== 'n')) return text('?enable=<y|n>\n', 400);
  return enable === 'y';
}

/** The message of what went wrong, or undefined. */
async function attempt(action: () => Promise<void>): Promise<string | undefined> {
  try {
    await action();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
