/**
 * Merges a proto fragment into the staged proto of the same path, message by message.
 *
 * A fragment is an ordinary proto file that repeats only the messages, oneofs and enums that get something new. A field of a name that
 * the message has takes the place of that one.
 * Merging is textual (by brace matching), because the field comments and options of both sides must survive.
 */

/** Blanks comments and strings (same length), so that brace matching sees code only. */
function blank(text) {
  return text.replace(/\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g, (m) =>
    m.replace(/[^\n]/g, ' '),
  );
}

/** Index of the brace that closes the one at `open`. */
function closing(code, open) {
  let depth = 0;
  for (let i = open; i < code.length; i++) {
    if (code[i] === '{') depth++;
    else if (code[i] === '}' && --depth === 0) return i;
  }
  throw new Error('unbalanced braces in proto');
}

/** The message, enum, oneof and service blocks directly inside `text`, and the text between them. */
function blocks(text) {
  const code = blank(text);
  const found = [];
  let rest = '';
  let at = 0;
  const head = /\b(message|enum|oneof|service)\s+(\w+)\s*\{/g;
  for (let m = head.exec(code); m !== null; m = head.exec(code)) {
    const open = m.index + m[0].length - 1;
    const close = closing(code, open);
    rest += text.slice(at, m.index);
    found.push({ kind: m[1], name: m[2], start: m.index, open, close, body: text.slice(open + 1, close) });
    at = close + 1;
    head.lastIndex = at;
  }
  return { found, rest: rest + text.slice(at) };
}

function mergeBody(base, extra) {
  const additions = blocks(extra);
  let out = base;
  for (const block of additions.found) {
    const same = blocks(out).found.find((b) => b.kind === block.kind && b.name === block.name);
    if (same) {
      out = out.slice(0, same.open + 1) + mergeBody(same.body, block.body) + out.slice(same.close);
    } else {
      out += `\n${extra.slice(block.start, block.close + 1)}\n`;
    }
  }
  for (const [, name] of blank(additions.rest).matchAll(/\b(\w+)\s*=\s*\d+/g)) out = withoutField(out, name);
  return additions.rest.trim() === '' ? out : `${out}\n${additions.rest.trim()}\n`;
}

/** `body` without its field of that name: the fragment says it anew, with other rules. */
function withoutField(body, name) {
  const code = blank(body);
  const inner = blocks(body).found;
  const field = new RegExp(`[^;{}]*?\\b${name}\\s*=\\s*\\d+[^;]*;`, 'g');
  for (const { index, 0: statement } of code.matchAll(field)) {
    if (inner.some(({ open, close }) => index > open && index < close)) continue;
    return body.slice(0, index) + body.slice(index + statement.length);
  }
  return body;
}

/** `base` with everything of `fragment` added; imports are added when missing. */
export function mergeProto(base, fragment) {
  const imports = [...fragment.matchAll(/^import (?:public )?"[^"]+";$/gm)].map((m) => m[0]);
  const body = fragment.replace(
    /^(?:import (?:public )?"[^"]+"|syntax\s*=\s*"[^"]+"|package\s+[\w.]+);$/gm,
    '',
  );
  const missing = imports.filter((line) => !base.includes(line));
  const withImports = base.replace(/^package\s+[\w.]+;$/m, (line) => [line, ...missing].join('\n'));
  return mergeBody(withImports, body.replace(/^\/\/.*$/gm, ''));
}
