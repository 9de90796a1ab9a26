/**
 * Envoy's rule for a DNS name and the pattern in a certificate: the same but for case, or one `*` in the first label of the pattern,
 * which stands for any run of characters of one label (`*.example.com`, `api-*.example.com`). A first label that is an A-label
 * (`xn--`) has no wildcards, and a name of one label matches none.
 */
export function dnsNameMatch(name: string, pattern: string): boolean {
  const lowerName = asciiLower(name);
  const lowerPattern = asciiLower(pattern);
  if (lowerName === lowerPattern) return true;
  const dot = lowerPattern.indexOf('.');
  const nameDot = lowerName.indexOf('.');
  if (dot < 0 || nameDot < 0) return false;
  const label = lowerPattern.slice(0, dot);
  const rest = lowerPattern.slice(dot + 1);
  if (!label.includes('*') || rest.includes('*') || label.startsWith('xn--')) return false;
  return lowerName.slice(nameDot + 1) === rest && labelMatch(lowerName.slice(0, nameDot), label);
}

function labelMatch(label: string, pattern: string): boolean {
  if (pattern === '*') return true;
  const star = pattern.indexOf('*');
  if (pattern.includes('*', star + 1)) return false;
  return (
    pattern.length <= label.length + 1 &&
    label.startsWith(pattern.slice(0, star)) &&
    label.endsWith(pattern.slice(star + 1))
  );
}

function asciiLower(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
