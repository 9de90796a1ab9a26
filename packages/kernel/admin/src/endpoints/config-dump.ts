import { clone, ConfigDumpSchema, create, type Message, toConfigJson } from '@dragoman/api';
import { type CompiledRegex, compileRegex } from '@dragoman/core';
import { descriptorOf, elements, packAny } from '../config-dump.ts';
import type { Endpoint } from '../endpoint.ts';
import { parseMask, trimMessage, trimResource } from '../field-mask.ts';
import { keepNamed } from '../name-filter.ts';
import { redact } from '../redact.ts';
import { type AdminResponse, json, type Query, text } from '../request.ts';
import type { AdminState } from '../state.ts';

export function configDump(): Endpoint[] {
  return [
    {
      path: '/config_dump',
      help: 'print the configuration in use; secrets are left out',
      parameters: [
        { name: 'resource', help: 'Only the elements of this list, such as static_listeners' },
        { name: 'mask', help: 'Only these fields of each part, or with a resource of each of its elements' },
        { name: 'name_regex', help: 'Only resources whose whole name matches this RE2 expression' },
        { name: 'include_eds', type: 'flag', help: 'Print endpoints too' },
      ],
      handle: dump,
    },
  ];
}

async function dump(state: AdminState, query: Query): Promise<AdminResponse> {
  const nameRegex = query.get('name_regex');
  let name: CompiledRegex | undefined;
  try {
    name = nameRegex === undefined ? undefined : compileRegex(nameRegex);
  } catch (error) {
    return text(`Error while parsing name_regex from ${nameRegex}: ${(error as Error).message}`, 400);
  }
  const parts: Message[] = [...(await state.configDumps())];
  if (query.has('include_eds')) parts.splice(endpointsIndex(parts), 0, await state.endpointsDump());
  // Copies: what follows cuts and redacts, and the server keeps its messages.
  const copies = parts.map((part) => clone(descriptorOf(part), part));
  if (name !== undefined) {
    const regex = name;
    for (const part of copies) keepNamed(part, (candidate) => regex.fullMatch(candidate));
  }
  const resource = query.get('resource');
  const selected = resource === undefined ? masked(copies, query) : listed(copies, resource, query);
  if ('status' in selected) return selected;
  for (const message of selected) redact(message);
  return json(toConfigJson(create(ConfigDumpSchema, { configs: selected.map(packAny) })));
}

/** Parts come in the order of their names: endpoints stand before listeners. */
function endpointsIndex(parts: readonly Message[]): number {
  const index = parts.findIndex(({ $typeName }) => $typeName === 'envoy.admin.v3.ListenersConfigDump');
  return index < 0 ? parts.length : index;
}

/** All parts, cut down to `mask`; parts that it does not fit are left out. */
function masked(parts: readonly Message[], query: Query): readonly Message[] | AdminResponse {
  const mask = query.get('mask');
  if (mask === undefined) return parts;
  const paths = parseMask(mask);
  const fitting = parts.filter((part) => trimMessage(part, paths));
  if (fitting.length > 0) return fitting;
  return text(`FieldMask ${mask} could not be successfully applied to any configs.`, 400);
}

/** The elements of one list, each cut down to `mask`. */
function listed(
  parts: readonly Message[],
  resource: string,
  query: Query,
): readonly Message[] | AdminResponse {
  const found: Message[] = [];
  let known = false;
  // Parts of one type (a kind of discovered filter each) are one list.
  for (const part of parts) {
    const field = descriptorOf(part).fields.find((candidate) => candidate.name === resource);
    if (field === undefined) continue;
    const list = elements(part, field);
    if (list === undefined) {
      return text(`${resource} is not a repeated field. Use ?mask=${resource} to get only this field`, 400);
    }
    known = true;
    found.push(...list);
  }
  if (!known) return text(`${resource} not found in config dump`, 404);
  const mask = query.get('mask');
  if (mask === undefined) return found;
  const paths = parseMask(mask);
  if (found.every((element) => trimResource(element, paths))) return found;
  return text(`FieldMask ${mask} could not be successfully used.`, 400);
}
