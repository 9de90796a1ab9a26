// Answers after 800 ms.
import { setTimeout as delay } from 'node:timers/promises';
import { serve } from './service.mjs';

serve('slow', 18082, async (request, response) => {
  await delay(800);
  response.setHeader('content-type', 'text/plain');
  response.end(`slow: ${request.method} ${request.url}\n`);
});
