/**
 * The container files without a container engine: what they say is checked, and what they start is
 * started here, on loopback. Only the names of services become 127.0.0.1.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defined } from '../../common/assert.ts';
import { type Command, type Ended, TestProcesses, until } from './command.ts';
import {
  type ComposeService,
  composeText,
  dockerfile,
  imageInstruction,
  readCompose,
} from './compose-file.ts';

const TOP = fileURLToPath(new URL('../../', import.meta.url));
const PORT = 7700;
const START_MS = 30_000;

function service(name: string, variables: Record<string, string> = {}): ComposeService {
  return defined(readCompose(variables).services[name], `service ${name}`);
}

describe('docker-compose.yml', () => {
  it('has the three services, and no version that engines warn about', () => {
    const { services, version } = readCompose({});
    expect(Object.keys(services)).toEqual(['coordinator', 'host', 'bench']);
    expect(version).toBeUndefined();
  });

  it.each([
    ['4 hosts by default', {}, 4],
    ['HLSIM_HOSTS hosts', { HLSIM_HOSTS: '7' }, 7],
  ])('starts %s, and the coordinator expects as many', (_name, variables, hosts) => {
    expect(service('host', variables).deploy?.replicas).toBe(hosts);
    for (const name of ['coordinator', 'bench']) {
      const { command } = service(name, variables);
      expect(command[command.indexOf('--hosts') + 1]).toBe(String(hosts));
    }
    expect(composeText()).toMatch(/^ *replicas: \$\{HLSIM_HOSTS:-4\}$/m);
    expect(composeText()).toMatch(/"--hosts", "\$\{HLSIM_HOSTS:-4\}"/);
  });

  it('gives a host no name and no port, so that it can be scaled', () => {
    const { container_name, hostname, ports, command } = service('host');
    expect({ container_name, hostname, ports }).toEqual({});
    expect(command).toEqual(expect.arrayContaining(['--bind', '0.0.0.0', '--port', '0']));
  });

  it('starts hosts and the benchmark when the coordinator is healthy', () => {
    for (const name of ['host', 'bench']) {
      expect(service(name).depends_on).toEqual({ coordinator: { condition: 'service_healthy' } });
    }
    expect(service('coordinator').healthcheck?.test?.[0]).toBe('CMD');
  });

  it('starts the benchmark only when its profile is asked for', () => {
    expect(service('bench').profiles).toEqual(['bench']);
    expect(service('coordinator').profiles).toBeUndefined();
    expect(service('host').profiles).toBeUndefined();
  });

  it('hands the token to every service, reaps zombies, and gives time to end', () => {
    for (const [name, value] of Object.entries(readCompose({ HLSIM_TOKEN: 'fig' }).services)) {
      expect(value.environment?.['HLSIM_TOKEN'], name).toBe('fig');
      expect(value.init, name).toBe(true);
      expect(value.stop_grace_period, name).toMatch(/^\d+s$/);
    }
  });
});

describe('Dockerfile', () => {
  it('builds in one stage and runs in another, not as root, with a health check', () => {
    const text = dockerfile();
    expect(text.match(/^FROM /gm)).toHaveLength(2);
    expect(text).toContain('npm ci --ignore-scripts');
    expect(text.split(/^FROM /m).at(-1)).toMatch(/^USER node$/m);
    expect(imageInstruction('HEALTHCHECK')).toEqual(
      service('coordinator').healthcheck?.test?.slice(1),
    );
  });
});

describe('the cluster of docker-compose.yml', () => {
  let processes: TestProcesses;
  beforeEach(() => {
    processes = new TestProcesses();
  });
  afterEach(async () => {
    for (const { pid } of processes.list()) process.kill(pid, 'SIGTERM');
    await processes.allGone(START_MS);
  });

  it('comes up healthy, runs the benchmark to a right result, and ends when told to', async () => {
    const network = new Network(processes, await choosePort(), { HLSIM_TOKEN: 'quince' });
    const coordinator = network.start('coordinator');
    await until(START_MS, 'a healthy coordinator', () => network.isHealthy('coordinator'));
    const replicas = defined(network.service('host').deploy?.replicas, 'replicas');
    const hosts = Array.from({ length: replicas }, () => network.start('host'));
    await until(START_MS, 'healthy hosts', () => network.isHealthy('host'));

    const bench = network.start('bench');
    const { code } = await bench.ended;
    expect(code, bench.stderr).toBe(0);
    expect(bench.stdout).toContain('# Collective test starting: all_reduce_perf');
    expect(bench.stdout.match(/^# {2}Rank +\d+ /gm)).toHaveLength(replicas);
    expect(bench.stdout).toMatch(/^ +16777216 +4194304 +float +sum/m);
    expect(bench.stdout).toContain('# Out of bounds values : 0 OK');
    expect(bench.stdout).toMatch(/^# Avg bus bandwidth {4}: \d/m);

    // As `docker compose down` does: dependants first.
    for (const host of hosts) host.child.kill('SIGTERM');
    expect(await Promise.all(hosts.map((host) => host.ended))).toEqual(
      hosts.map(() => ({ code: 0, signal: null })),
    );
    coordinator.child.kill('SIGTERM');
    expect(await coordinator.ended).toEqual({ code: 0, signal: null });
  });

  it('hosts that were scaled beyond what the coordinator expects are refused', async () => {
    const network = new Network(processes, await choosePort(), { HLSIM_HOSTS: '1' });
    network.start('coordinator');
    await until(START_MS, 'a healthy coordinator', () => network.isHealthy('coordinator'));
    const pair = [network.start('host'), network.start('host')];
    const { code } = await Promise.race(pair.map((host) => host.ended));
    expect(code).toBe(1);
    expect(pair.map(({ stderr }) => stderr).join()).toContain('[HLSIM_CLUSTER_FULL]');
  });
});

/** Loopback in the place of the network of the containers. */
class Network {
  readonly #processes: TestProcesses;
  readonly #port: number;
  readonly #variables: Readonly<Record<string, string>>;

  constructor(processes: TestProcesses, port: number, variables: Readonly<Record<string, string>>) {
    this.#processes = processes;
    this.#port = port;
    this.#variables = variables;
  }

  service(name: string): ComposeService {
    return service(name, this.#variables);
  }

  /** A container of the service: the image's entry point with the service's command. */
  start(name: string): Command {
    return this.#run(name, [...imageInstruction('ENTRYPOINT'), ...this.service(name).command]);
  }

  /** Runs the health check of the service, or else that of the image, once. */
  async isHealthy(name: string): Promise<boolean> {
    const own = this.service(name).healthcheck?.test?.slice(1);
    const check = this.#run(name, own ?? imageInstruction('HEALTHCHECK'));
    const { code }: Ended = await check.ended;
    return code === 0;
  }

  #run(name: string, words: readonly string[]): Command {
    const here = (text: string): string => {
      const names = Object.keys(readCompose({}).services).join('|');
      const onLoopback = text.replace(new RegExp(`//(?:${names}):`), '//127.0.0.1:');
      return onLoopback.replace(new RegExp(`\\b${PORT}\\b`), String(this.#port));
    };
    const [file = '', ...args] = words.map(here);
    const environment = Object.entries(this.service(name).environment ?? {});
    // Where the port is another one, the health check must know.
    const port = this.#port === PORT ? [] : [['HLSIM_PORT', String(this.#port)]];
    return this.#processes.start(
      file === 'node' ? process.execPath : file,
      args,
      Object.fromEntries([...environment.map(([key, value]) => [key, here(value)]), ...port]),
      TOP,
    );
  }
}

/** The port of the file, if nothing on this machine has it. */
async function choosePort(): Promise<number> {
  for (const port of [PORT, 0]) {
    const server = createServer();
    server.listen(port, '0.0.0.0');
    const listening = await Promise.race([
      once(server, 'listening').then(() => true),
      once(server, 'error').then(() => false),
    ]).catch(() => false);
    if (!listening) continue;
    const chosen = (server.address() as AddressInfo).port;
    server.close();
    await once(server, 'close');
    return chosen;
  }
  throw new Error('Expected a free port');
}
