import type { Endpoint, EndpointParameter } from './endpoint.ts';
import { sortedByPath } from './help.ts';
import type { Query } from './request.ts';

const STYLE = `
table { border-collapse: collapse; font-family: sans-serif; }
td, th { border: 1px solid #ddd; padding: 6px; text-align: left; vertical-align: top; }
tr:nth-child(even) { background: #f2f2f2; }
td.parameter { padding-left: 2em; }
`;

/** Makes text safe in HTML, in attribute values too. */
export function escapeHtml(value: string): string {
  return value
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

/** A page with a form for each endpoint, `content` (HTML) after them. */
export function page(endpoints: readonly Endpoint[], query?: Query, content = ''): string {
  const rows = sortedByPath(endpoints).map((endpoint, index) =>
    endpointRows(endpoint, `form-${index}`, query),
  );
  return (
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="UTF-8">\n<title>Dragoman Admin</title>\n' +
    `<style>${STYLE}</style>\n</head>\n<body>\n<table>\n` +
    `<thead><tr><th>Command</th><th>Description</th></tr></thead>\n<tbody>\n${rows.join('')}</tbody>\n` +
    `</table>\n${content}</body>\n</html>\n`
  );
}

function endpointRows(endpoint: Endpoint, form: string, query: Query | undefined): string {
  const method = endpoint.mutates === true ? 'post' : 'get';
  // Relative, so that the page works behind a prefix.
  const action = escapeHtml(endpoint.path === '/' ? './' : endpoint.path.slice(1));
  const command =
    `<tr><td><form action="${action}" method="${method}" id="${form}">` +
    `<button>${escapeHtml(endpoint.path.slice(1) || 'home')}</button></form></td>` +
    `<td>${escapeHtml(endpoint.help)}</td></tr>\n`;
  // A form's GET replaces the query of its action, its POST puts the fields into the body: the same to us.
  const parameters = (endpoint.parameters ?? []).map(
    (parameter) =>
      `<tr><td class="parameter">${input(parameter, form, query)}</td>` +
      `<td>${escapeHtml(`${parameter.name}: ${parameter.help}`)}</td></tr>\n`,
  );
  return command + parameters.join('');
}

function input(parameter: EndpointParameter, form: string, query: Query | undefined): string {
  const name = escapeHtml(parameter.name);
  const value = query?.get(parameter.name) ?? '';
  if (parameter.choices !== undefined) {
    const options = parameter.choices.map((choice) => {
      const selected = choice === value ? ' selected' : '';
      return `<option value="${escapeHtml(choice)}"${selected}>${escapeHtml(choice)}</option>`;
    });
    return `<select name="${name}" form="${form}">${options.join('')}</select>`;
  }
  if (parameter.type === 'flag') {
    const checked = query?.has(parameter.name) === true ? ' checked' : '';
    return `<input type="checkbox" name="${name}" form="${form}"${checked}>`;
  }
  return `<input type="text" name="${name}" form="${form}" value="${escapeHtml(value)}">`;
}
