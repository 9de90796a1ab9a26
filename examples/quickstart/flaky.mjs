// Fails at times: every third answer is a 503.
import { serve } from './service.mjs';

let requests = 0;

serve('flaky', 18083, (request, response) => {
  requests++;
  response.setHeader('content-type', 'text/plain');
  if (requests % 3 === 0) {
    response.statusCode = 503;
    response.end('flaky: not now\n');
    return;
  }
  response.end(`flaky: ${request.method} ${request.url}\n`);
});
