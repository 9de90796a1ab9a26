import { runCheckRoutes } from '../src/index.ts';

/** `dragoman check-routes`, with what it prints. */
export function run(...argv: string[]): { code: number; out: string; err: string } {
  let [out, err] = ['', ''];
  const code = runCheckRoutes(argv, {
    extensions: [],
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { code, out, err };
}
