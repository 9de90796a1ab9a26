/** The methods that Envoy's parser takes unless custom ones are allowed. */
const REGISTERED = [
  'ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE M-SEARCH NOTIFY',
  'OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK UNLOCK',
  'UNSUBSCRIBE',
].join(' ');

/** Method → the same text, so that every request shares one string. */
export const METHODS: ReadonlyMap<string, string> = new Map(
  REGISTERED.split(' ').map((method) => [method, method]),
);

/** Methods for which a request without a body says nothing of its length (Envoy; RFC 9110 section 8.6). */
export const BODILESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'TRACE', 'CONNECT']);
