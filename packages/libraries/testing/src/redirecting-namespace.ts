import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';

/** What connections are redirected to, in {@link runInNamespace}. */
export const CAPTURE_PORT = 15_001;
/** Connections to these ports are redirected, wherever they go, but for those from {@link PROXY_SOURCE}. */
const PORTS = '8080:8090';
/** Where a proxy's own connections come from (`upstream_bind_config`): they reach what they ask for. */
export const PROXY_SOURCE = '198.51.100.2';

/** Every address lies behind the loopback interface (and is this machine's own in the networks for documentation, so that servers can be there), and what goes to {@link PORTS} is redirected. */
const SETUP = `
ip link set lo up
ip address add 198.51.100.1/32 dev lo
ip address add ${PROXY_SOURCE}/32 dev lo
ip -6 address add 2001:db8::1/128 dev lo nodad
ip route add local 192.0.2.0/24 dev lo
ip route add local 203.0.113.0/24 dev lo
ip route add default dev lo
ip -6 route add default dev lo
iptables -w -t nat -A OUTPUT -s ${PROXY_SOURCE} -j ACCEPT
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

/** Programs that {@link runInNamespace} needs and that are not installed. */
export function missingNamespacePrograms(): string[] {
  return PROGRAMS.filter((program) => spawnSync(program, ['-V'], { env }).error !== undefined);
}

/** Why this machine has no namespaces that redirect; undefined: it has. */
export function whyNoNamespace(): string | undefined {
  const { status, stderr, error } = spawnSync(...inNamespace(['true']), { env, encoding: 'utf8' });
  if (status === 0) return undefined;
  return error?.message ?? (stderr.trim().split('\n')[0] || `setting one up ended with ${status}`);
}

/**
 * What a module of TypeScript writes to its standard output in a network namespace of its own, where connections are redirected. It ends after
 * 20 s at the latest.
 * @throws Error with its standard error
 */
export async function runInNamespace(module: string, ...args: string[]): Promise<string> {
  const node = [process.execPath, '--conditions=dragoman-source', module, ...args];
  const [program, all] = inNamespace(node);
  const options = { env, timeout: DEADLINE_MS, killSignal: 'SIGKILL' as const };
  const { stdout } = await promisify(execFile)(program, all, options);
  return stdout;
}
