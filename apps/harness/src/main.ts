// The entry of the command.
import { parseCommandLine, USAGE, UsageError } from './command-line.ts';
import { startUpstream, type UpstreamOptions } from './upstream.ts';

async function main(): Promise<void> {
  let options: UpstreamOptions | undefined;
  try {
    options = parseCommandLine(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`dragoman-harness: ${error.message}\n\n${USAGE}`);
    process.exitCode = 1;
    return;
  }
  if (options === undefined) {
    process.stdout.write(USAGE);
    return;
  }
  const host = options.host ?? '127.0.0.1';
  const shown = host.includes(':') ? `[${host}]` : host;
  try {
    const upstream = await startUpstream(options);
    process.stdout.write(`upstream on http://${shown}:${upstream.port}\n`);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      // Answers in flight are broken off: nobody waits for a demo.
      process.once(signal, () => void upstream.stop());
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const taken = code === 'EADDRINUSE' ? `port ${options.port} of ${host} is taken` : message;
    process.stderr.write(`dragoman-harness: cannot listen: ${taken}\n`);
    process.exitCode = 1;
  }
}

await main();
