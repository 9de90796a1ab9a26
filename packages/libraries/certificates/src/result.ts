/** What a reader of untrusted bytes answers: it never throws. */
export type Result<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: string };

/** @param error what is wrong, and where: for logs and config errors */
export function failed(error: string): { readonly ok: false; readonly error: string } {
  return { ok: false, error };
}

export function succeeded<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}
