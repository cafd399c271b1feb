import { afterEach, describe, expect, it, vi } from 'vitest';
import { wallScheduler } from '../../common/scheduler.ts';
import { type CoordinatorConfig, coordinatorConfig } from '../../coordinator/config.ts';
import { connectClientControl } from '../../coordinator/hlcp/client.ts';
import { runCoordinator } from '../../coordinator/main.ts';
import { CLIENT_HELLO, type ClientPeer, Peer } from './peers.ts';

const config: CoordinatorConfig = {
  host: '127.0.0.1',
  port: 0,
  hosts: 1,
  token: 't',
  exitWithParent: false,
  logLevel: 'silent',
};

afterEach(() => {
  vi.restoreAllMocks();
});

describe('runCoordinator()', () => {
  it('prints one line of JSON when it listens, and returns when a client takes it down', async () => {
    const lines: string[] = [];
    const printed = new Promise<void>((resolve) => {
      vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
        lines.push(String(text));
        resolve();
        return true;
      });
    });
    const signals = process.listenerCount('SIGTERM');
    const running = runCoordinator(config);
    await printed;
    const { event, url, port } = JSON.parse(lines.join(''));
    expect(event).toBe('listening');
    expect(url).toBe(`ws://127.0.0.1:${port}`);
    expect(process.listenerCount('SIGTERM')).toBe(signals + 1);
    const options = { url, token: 't', scheduler: wallScheduler, deadlineMs: 5_000 };
    const client: ClientPeer = new Peer(await connectClientControl(options));
    client.send(CLIENT_HELLO);
    client.send({ type: 'HLCP_CLUSTER_SHUTDOWN' });
    await running;
    expect(lines).toHaveLength(1);
    expect(process.listenerCount('SIGTERM')).toBe(signals);
  });

  it('leaves no signal handler behind when it cannot listen', async () => {
    const signals = process.listenerCount('SIGINT');
    await expect(runCoordinator({ ...config, host: '192.0.2.1' })).rejects.toMatchObject({
      code: 'HLSIM_CONFIG',
    });
    expect(process.listenerCount('SIGINT')).toBe(signals);
  });
});

describe('coordinatorConfig', () => {
  it.each([
    ['a port above 65535', { port: 65_536 }],
    ['no hosts', { hosts: 0 }],
    ['an empty token', { token: '' }],
    ['a key it does not know', { colour: 'blue' }],
  ])('refuses %s', (_name, change) => {
    expect(coordinatorConfig.safeParse(config).success).toBe(true);
    expect(coordinatorConfig.safeParse({ ...config, ...change }).success).toBe(false);
  });
});
