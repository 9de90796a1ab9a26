/** A floating-point number as Envoy prints it (fmt's `{}`): the shortest text that reads back equal; `nan`, `inf`. */
export function formatDouble(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  const [digits, exponentText] = value.toExponential().split('e') as [string, string];
  const exponent = Number(exponentText);
  if (value === 0 || (exponent >= -4 && exponent < 16)) return plain(value);
  const sign = exponent < 0 ? '-' : '+';
  return `${digits}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`;
}

/** At most 32 significant digits without an exponent for common sizes (printf's `%.32g`), as Prometheus bounds and sums. */
export function formatLong(value: number): string {
  if (Number.isInteger(value)) return plain(value);
  const text = value.toPrecision(32);
  return text.includes('e') ? formatDouble(value) : text.replace(/\.?0+$/, '');
}

function plain(value: number): string {
  const text = String(value);
  if (!text.includes('e')) return text;
  return value.toFixed(Number.isInteger(value) ? 0 : 12).replace(/(\.\d*?)0+$/, '$1');
}

/** Six significant digits (printf's `%g`): `99.5`, `10000`, `1.8e+06`. */
export function formatGeneral(value: number): string {
  if (value === 0) return '0';
  const [digits, exponentText] = value.toExponential(5).split('e') as [string, string];
  const exponent = Number(exponentText);
  if (exponent >= -4 && exponent < 6) return String(Number(value.toPrecision(6)));
  const sign = exponent < 0 ? '-' : '+';
  return `${digits.replace(/\.?0+$/, '')}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`;
}
