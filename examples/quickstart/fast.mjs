// Answers at once.
import { serve } from './service.mjs';

serve('fast', 18081, (request, response) => {
  response.setHeader('content-type', 'text/plain');
  response.end(`fast: ${request.method} ${request.url}\n`);
});
