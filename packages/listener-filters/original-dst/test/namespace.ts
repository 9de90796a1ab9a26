import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';

/** What connections are redirected to. */
export const CAPTURE_PORT = 15_001;
/** Connections to these ports are redirected, wherever they go. */
const PORTS = '8080:8090';

/** Every address lies behind the loopback interface, and what goes to {@link PORTS} is redirected. */
const SETUP = `
ip link set lo up
ip address add 198.51.100.1/32 dev lo
ip -6 address add 2001:db8::1/128 dev lo nodad
ip route add default dev lo
ip -6 route add default dev lo
for tables in iptables ip6tables; do
  $tables -w -t nat -A OUTPUT -p tcp --dport ${PORTS} -j REDIRECT --to-ports ${CAPTURE_PORT}
done
`;

const PROGRAMS = ['unshare', 'ip', 'iptables', 'ip6tables'];
const DEADLINE_MS = 20_000;

/** nobody but root finds them there by itself. */
const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };

/**
 * A command in a network namespace of its own. The namespace has no name and belongs to the process alone: it is gone with it, however
 * that ends.
 */
function inNamespace(command: readonly string[]): [program: string, args: string[]] {
  const asRoot = process.getuid?.() === 0;
  const flags = asRoot ? ['--net'] : ['--user', '--map-root-user', '--net'];
  return ['unshare', [...flags, 'sh', '-ec', `${SETUP}exec "$@"`, 'sh', ...command]];
}

/** Programs that are not installed. */
export function missingPrograms(): string[] {
  return PROGRAMS.filter((program) => spawnSync(program, ['-V'], { env }).error !== undefined);
}

/** Why this machine has no namespaces that redirect; undefined: it has. */
export function whyNoNamespace(): string | undefined {
  const { status, stderr, error } = spawnSync(...inNamespace(['true']), { env, encoding: 'utf8' });
  if (status === 0) return undefined;
  return error?.message ?? (stderr.trim().split('\n')[0] || `setting one up ended with ${status}`);
}

/** What a module of TypeScript writes to its standard output there. @throws Error with its standard error */
export async function runInNamespace(module: string, ...args: string[]): Promise<string> {
  const node = [process.execPath, '--conditions=dragoman-source', module, ...args];
  const [program, all] = inNamespace(node);
  const options = { env, timeout: DEADLINE_MS, killSignal: 'SIGKILL' as const };
  const { stdout } = await promisify(execFile)(program, all, options);
  return stdout;
}
