/** Line `i` of a writer, up to 8 KiB long: short, middling and long ones in turn. */
export function relayLine(writer: number, i: number): string {
  const length = ((i * i * 31 + i * 7919) % 8150) >> (i % 3);
  return `${writer} ${i} ${String.fromCharCode(97 + (i % 26)).repeat(length)}\n`;
}
