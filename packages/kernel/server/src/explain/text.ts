import type { HeaderChange, HttpExplanation, Passed, ReplyExplanation } from '@dragoman/http';
import type { Explanation } from './explanation.ts';
import { printable } from './printable.ts';

/** An explanation for people: a line for each step, what belongs to it indented below. */
export function explanationText(explanation: Explanation): string {
  const { request, listener, filterChain, http, notes, verdict } = explanation;
  const lines: string[] = [];
  const line = (text: string, depth = 0) => lines.push(`${'  '.repeat(depth)}${printable(text)}`);
  line(`${request.method} ${request.scheme}://${request.authority}${request.path} from ${request.from}`);
  line(`=> ${verdict}`);
  line('');
  for (const note of notes) line(`note: ${note}`);
  passed(explanation.listenersPassed, 'listener', line);
  if (listener !== undefined)
    line(`listener ${quoted(listener.name)} on ${listener.address} (${listener.path})`);
  passed(explanation.filterChainsPassed, 'filter chain', line);
  if (filterChain !== undefined) line(`filter chain ${quoted(filterChain.name)} (${filterChain.path})`);
  if (http !== undefined) httpText(http, line);
  return `${lines.join('\n')}\n`;
}

type Line = (text: string, depth?: number) => void;

function httpText(http: HttpExplanation, line: Line): void {
  line(`connection manager ${quoted(http.statPrefix)}`);
  changes('sets', http.received, line);
  const { virtualHost, route, action } = http;
  if (virtualHost !== undefined)
    line(
      `virtual host ${quoted(virtualHost.name)} by its domain "${virtualHost.domain}" (${virtualHost.path})`,
    );
  passed(http.passed, 'route', line);
  if (route !== undefined) line(`route ${quoted(route.name)} (${route.path})`);
  if (http.miss !== '') line(http.miss);
  if (http.refused !== undefined) line(`answers ${http.refused.status} (${http.refused.details})`, 1);
  switch (action?.kind) {
    case 'redirect':
      line(`redirects with ${action.status} to ${action.location}`, 1);
      break;
    case 'direct-response':
      line(`answers ${action.status} with ${action.bodyBytes} bytes`, 1);
      break;
    case 'forward':
      action.clusters.forEach(({ name, percent, hosts }, i) => {
        const share = action.clusters.length === 1 ? '' : `, ${Number(percent.toFixed(3))} % of the requests`;
        const drawn = action.clusters.length > 1 && i === action.chosen ? ' (this draw)' : '';
        const known =
          hosts === undefined
            ? 'there is no such cluster'
            : `${hosts.type}, ${hosts.healthy === undefined ? '' : `${hosts.healthy} healthy of `}${hosts.total} host${hosts.total === 1 ? '' : 's'}`;
        line(`cluster "${name}"${share}${drawn}: ${known}`, 1);
      });
      changes('sends upstream', action.requestChanges, line);
      break;
  }
  if (http.reply !== undefined) replyText(http.reply, line);
  for (const { name, value, from } of http.settings) line(`${name}: ${JSON.stringify(value)} (${from})`, 1);
  if (http.filters.length > 0) {
    line('filters');
    for (const { name, enabled, perRoute } of http.filters)
      line(`${name}${enabled ? '' : ', off'}${perRoute ? ', with a config of the route' : ''}`, 1);
  }
  if (http.responseChanges.length > 0 && http.reply === undefined) {
    line('response');
    changes('changes', http.responseChanges, line);
  }
}

function replyText({ status, mappedFrom, body, headers }: ReplyExplanation, line: Line): void {
  const mapped = mappedFrom === undefined ? '' : ` (local_reply_config makes it of ${mappedFrom})`;
  line(`the client gets ${status}${mapped}`);
  changes('with', headers, line);
  if (body === '') return;
  const more = body.length > SHOWN_BODY ? '…' : '';
  line(`body: ${body.slice(0, SHOWN_BODY)}${more}`, 1);
}

/** Characters of a reply's body that are shown. */
const SHOWN_BODY = 200;

function passed(all: readonly Passed[], what: string, line: Line): void {
  for (const { name, path, why } of all) line(`not ${what} ${quoted(name)} (${path}): ${why}`);
}

function changes(how: string, all: readonly HeaderChange[], line: Line): void {
  for (const { name, before, after } of all) {
    if (after === undefined) line(`removes ${name}: ${before}`, 1);
    else line(`${how} ${name}: ${after}${before === undefined ? '' : ` (was ${before})`}`, 1);
  }
}

const quoted = (name: string) => (name === '' ? '(no name)' : `"${name}"`);
