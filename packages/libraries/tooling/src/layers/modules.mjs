/** Reads one source file: what it imports, and what the naming rules want to know of it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSync, Visitor } from 'oxc-parser';

/**
 * @typedef {object} Import
 * @property {string} specifier as written
 * @property {boolean} typeOnly erased when compiled
 * @property {number} line 1-based
 *
 * @typedef {object} Module
 * @property {string} path relative to the root
 * @property {Import[]} imports
 * @property {Set<string>} strings string literals that look like the name of an extension
 * @property {{ callee: string, name: string, line: number }[]} definitions `define…({ name: '…' })`
 * @property {number | undefined} statement line of the first statement that is neither an import nor an export of names
 */

const EXTENSION_NAME = /^(envoy|dragoman)\.[a-z0-9_.]+$/;

/**
 * @param {string} root
 * @param {string} path relative to root
 * @returns {Module}
 * @throws {Error} on a syntax error, with path and line
 */
export function readModule(root, path) {
  const source = readFileSync(join(root, path), 'utf8');
  const { program, module, errors } = parseSync(path, source, { sourceType: 'module' });
  const fatal = errors.find((error) => error.severity === 'Error');
  if (fatal !== undefined) throw new Error(`${path}: ${fatal.message}`);
  const lineOf = lineFinder(source);
  const imports = [];
  const add = (specifier, typeOnly, offset) => imports.push({ specifier, typeOnly, line: lineOf(offset) });

  for (const { moduleRequest, entries, start } of module.staticImports) {
    add(moduleRequest.value, entries.length > 0 && entries.every((entry) => entry.isType), start);
  }
  for (const { entries, start } of module.staticExports) {
    const from = entries.filter((entry) => entry.moduleRequest !== null && entry.moduleRequest !== undefined);
    if (from.length > 0)
      add(
        from[0].moduleRequest.value,
        from.every((entry) => entry.isType),
        start,
      );
  }
  for (const { moduleRequest, start } of module.dynamicImports) {
    const literal = /^(['"`])([^'"`$]*)\1$/.exec(source.slice(moduleRequest.start, moduleRequest.end));
    if (literal !== null) add(literal[2], false, start);
  }

  const strings = new Set();
  const constants = new Map();
  const definitions = [];
  new Visitor({
    Literal(node) {
      if (typeof node.value === 'string' && EXTENSION_NAME.test(node.value)) strings.add(node.value);
    },
    VariableDeclarator(node) {
      const value = node.init?.type === 'TSAsExpression' ? node.init.expression : node.init;
      if (node.id.type === 'Identifier' && value?.type === 'Literal')
        constants.set(node.id.name, value.value);
    },
    TSImportType(node) {
      const value = (node.source ?? node.argument)?.value;
      if (typeof value === 'string') add(value, true, node.start);
    },
    CallExpression(node) {
      const callee = node.callee.type === 'Identifier' ? node.callee.name : '';
      const options = node.arguments[0];
      if (!/^define[A-Z]/.test(callee) || options?.type !== 'ObjectExpression') return;
      const property = options.properties.find((one) => one.type === 'Property' && one.key.name === 'name');
      const value = property?.value;
      const name = value?.type === 'Literal' ? value.value : constants.get(value?.name);
      if (typeof name === 'string') definitions.push({ callee, name, line: lineOf(node.start) });
    },
  }).visit(program);

  const statement = program.body.find((node) => !isReExport(node));
  return {
    path,
    imports,
    strings,
    definitions,
    statement: statement === undefined ? undefined : lineOf(statement.start),
  };
}

function isReExport(node) {
  if (node.type === 'ImportDeclaration' || node.type === 'ExportAllDeclaration') return true;
  return (
    node.type === 'ExportNamedDeclaration' && (node.declaration === null || node.declaration === undefined)
  );
}

/** Offset → 1-based line. */
function lineFinder(source) {
  const starts = [0];
  for (let at = source.indexOf('\n'); at !== -1; at = source.indexOf('\n', at + 1)) starts.push(at + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle] <= offset) low = middle;
      else high = middle - 1;
    }
    return low + 1;
  };
}
