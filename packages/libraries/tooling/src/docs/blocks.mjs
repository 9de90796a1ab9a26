/** Documents with generated parts: `<!-- generated: name -->` … `<!-- end -->`, everything else written by hand. */

const BLOCK = /(<!-- generated: ([a-z-]+) -->\n)[\s\S]*?(<!-- end -->)/g;

/**
 * @param {string} document Markdown
 * @param {{ [name: string]: string }} parts
 * @returns {string} the document with each of its blocks replaced
 * @throws {Error} on a block that no part is made for
 */
export function fillBlocks(document, parts) {
  return document.replace(BLOCK, (_, begin, name, end) => {
    if (!Object.hasOwn(parts, name)) throw new Error(`nothing generates the block "${name}"`);
    return `${begin}\n${parts[name].trim()}\n\n${end}`;
  });
}

/** A Markdown table; `|` in a cell is escaped. */
export function table(head, rows) {
  const cells = (row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|').trim()).join(' | ')} |`;
  return [cells(head), `| ${head.map(() => '---').join(' | ')} |`, ...rows.map(cells)].join('\n');
}
