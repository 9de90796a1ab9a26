import {
  CertificatesSchema,
  create,
  type JsonObject,
  MemorySchema,
  ServerInfo_State,
  ServerInfoSchema,
  UnreadyTargetsDumpsSchema,
} from '@dragoman/api';
import type { Endpoint } from '../endpoint.ts';
import { messageJson } from '../proto.ts';
import { json, text } from '../request.ts';
import type { AdminMemory } from '../state.ts';

export function serverInfo(): Endpoint[] {
  return [
    {
      path: '/server_info',
      help: 'print version, state, uptime and options',
      handle: (state) => json(messageJson(ServerInfoSchema, state.serverInfo(), true)),
    },
    {
      path: '/ready',
      help: 'print the state: 200 when LIVE, else 503',
      handle: (state) => {
        const current = create(ServerInfoSchema, state.serverInfo()).state;
        return text(`${ServerInfo_State[current]}\n`, current === ServerInfo_State.LIVE ? 200 : 503);
      },
    },
    {
      path: '/hot_restart_version',
      help: 'print which versions a hot restart may go between',
      handle: (state) => text(create(ServerInfoSchema, state.serverInfo()).hotRestartVersion),
    },
    {
      path: '/memory',
      help: 'print the use of memory, in bytes, with a row for each thread',
      handle: async (state) => {
        const { total, threads } = await state.memory();
        return json({
          ...(messageJson(MemorySchema, total, true) as JsonObject),
          threads: threads.map(memoryRow),
        });
      },
    },
    {
      path: '/certs',
      help: 'print loaded certificates',
      handle: async (state) => json(messageJson(CertificatesSchema, await state.certificates(), true)),
    },
    {
      path: '/init_dump',
      help: 'print what the start, and what is warming, waits for',
      parameters: [{ name: 'mask', help: 'Only what these wait for: listener, cluster or server' }],
      handle: (state, query) =>
        json(messageJson(UnreadyTargetsDumpsSchema, state.unreadyTargets(query.get('mask')))),
    },
  ];
}

/** Numbers of 64 bits are text in proto3 JSON: here too. */
function memoryRow({ name, allocated, heapSize }: AdminMemory['threads'][number]): JsonObject {
  return { name, allocated: String(allocated), heap_size: String(heapSize) };
}
