/** nginx that is started by root gives its worker to `nobody`, who cannot read our folder: a line of config against it. */
export function asOurselves(): string {
  return process.getuid?.() === 0 ? 'user root;\n' : '';
}
