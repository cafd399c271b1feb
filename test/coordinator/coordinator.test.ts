/** The whole control plane in one process: real coordinator, real codec, virtual time. */
import { describe, expect, it } from 'vitest';
import { deferred } from '../../common/deferred.ts';
import { delay, VirtualScheduler } from '../../common/scheduler.ts';
import {
  type Coordinator,
  createCoordinator,
  HELLO_TIMEOUT_MS,
} from '../../coordinator/coordinator.ts';
import { type ControlPair, controlPair } from '../../coordinator/hlcp/memory-connection.ts';
import {
  type CoordinatorToHost,
  HEARTBEAT_INTERVAL_MS,
  HEARTBEAT_TIMEOUT_MS,
  type HostToCoordinator,
} from '../../coordinator/hlcp/messages.ts';
import {
  CLIENT_HELLO,
  type ClientPeer,
  type HostPeer,
  Peer,
  rankData,
  recordingLog,
  submit,
} from './peers.ts';

/** A coordinator under virtual time, with as many hosts and clients as a test asks for. */
function world(expectedHosts: number) {
  const scheduler = new VirtualScheduler();
  const log = recordingLog();
  const down = deferred<void>();
  let jobs = 0;
  const coordinator: Coordinator = createCoordinator({
    expectedHosts,
    scheduler,
    log,
    onShutdown: () => down.resolve(),
    newJobId: () => `job-${++jobs}`,
  });
  const pairs = new Map<string, ControlPair<HostToCoordinator, CoordinatorToHost>>();

  function host(
    name: string,
    program: (peer: HostPeer, rank: number) => void = exitsWell,
  ): HostPeer {
    const pair = controlPair(scheduler);
    pairs.set(name, pair);
    coordinator.acceptHost(pair.accepted);
    const peer: HostPeer = new Peer(pair.dialled, (message) => {
      if (message.type === 'HLCP_JOB_START') program(peer, rankOf(peer, name));
      if (message.type === 'HLCP_SHUTDOWN') peer.connection.close();
    });
    peer.send(rankData(name));
    beat(peer);
    return peer;
  }

  function beat(peer: HostPeer, sequence = 0): void {
    peer.send({ type: 'HLCP_HEARTBEAT', sequence });
    scheduler.after(HEARTBEAT_INTERVAL_MS, () => beat(peer, sequence + 1));
  }

  function client(): ClientPeer {
    const { dialled, accepted } = controlPair(scheduler, 'client');
    coordinator.acceptClient(accepted);
    const peer: ClientPeer = new Peer(dialled);
    peer.send(CLIENT_HELLO);
    return peer;
  }

  return { scheduler, coordinator, log, down: down.promise, pairs, host, client };
}

/** The rank of a host with one device: its index in the world. */
function rankOf(peer: HostPeer, name: string): number {
  const world = peer.heard.findLast((message) => message.type === 'HLCP_WORLD');
  return world?.hosts.find(({ hostname }) => hostname === name)?.index ?? -1;
}

function exitsWell(peer: HostPeer, rank: number): void {
  peer.send({ type: 'HLCP_RANK_EXIT', jobId: 'job-1', rank, exitCode: 0 });
}

/** Joins a communicator of `nranks`, enters a barrier, prints, ends. */
function meets(nranks: number) {
  return (peer: HostPeer, rank: number): void => {
    const jobId = 'job-1';
    peer.send({
      type: 'HLCP_COMM_DATA',
      jobId,
      uniqueId: 'u',
      epoch: 0,
      nranks,
      member: {
        rank,
        nodeId: `node-${'abcdefgh'[rank]}`,
        endpoint: Uint8Array.of(rank),
        slots: { address: 0, rkey: 'k', bytes: 0 },
      },
    });
    void peer.saw('HLCP_COMM_READY').then(({ members }) => {
      const text = `rank ${rank} sees ${members.map(({ endpoint }) => endpoint[0]).join(',')}\n`;
      peer.send({ type: 'HLCP_JOB_OUTPUT', jobId, rank, stream: 'stdout', text });
      peer.send({ type: 'HLCP_SYNC', jobId, rank, sequence: 0 });
    });
    void peer.saw('HLCP_SYNC_DONE').then(() => {
      peer.send({ type: 'HLCP_RANK_EXIT', jobId, rank, exitCode: 0 });
    });
  };
}

/** One whole life of a cluster; everything that anybody heard, for comparison. */
async function life(): Promise<string> {
  const { scheduler, host, client, down } = world(3);
  const hosts = ['a', 'b', 'c'].map((name) => host(name, meets(3)));
  const cli = client();
  cli.send(submit('/p.js'));
  await scheduler.run(cli.saw('HLCP_JOB_DONE'));
  cli.send({ type: 'HLCP_CLUSTER_SHUTDOWN' });
  await scheduler.run(down);
  return JSON.stringify([...hosts, cli].map(({ heard }) => heard));
}

describe('coordinator in memory', () => {
  it('a job lives from submission to its end: rendezvous, barrier, output, exit', async () => {
    const { scheduler, host, client } = world(3);
    for (const name of ['a', 'b', 'c']) host(name, meets(3));
    const cli = client();
    cli.send(submit('/p.js'));
    const done = await scheduler.run(cli.saw('HLCP_JOB_DONE'));
    expect(done).toEqual({ type: 'HLCP_JOB_DONE', jobId: 'job-1', exitCode: 0 });
    const output = cli.heard.filter((message) => message.type === 'HLCP_JOB_OUTPUT');
    expect(output.map(({ text }) => text)).toEqual([
      'rank 0 sees 0,1,2\n',
      'rank 1 sees 0,1,2\n',
      'rank 2 sees 0,1,2\n',
    ]);
    expect(cli.types().filter((type) => type === 'HLCP_JOB_DONE')).toHaveLength(1);
  });

  it('two equal lives are equal message for message', async () => {
    expect(await life()).toBe(await life());
  });

  it('a silent host is lost within the timeout and one interval, and its job fails', async () => {
    const { scheduler, host, client, pairs } = world(2);
    const a = host('a', () => undefined);
    host('b', () => undefined);
    const cli = client();
    cli.send(submit('/p.js'));
    await scheduler.run(cli.saw('HLCP_JOB_ACCEPTED'));
    await scheduler.run(delay(scheduler, 3_000));
    const silentMs = scheduler.clock.now();
    pairs.get('b')?.silence();
    const lost = await scheduler.run(a.saw('HLCP_HOST_LOST'));
    const takenMs = scheduler.clock.now() - silentMs;
    expect(lost).toMatchObject({ hostname: 'b', ranks: [1] });
    expect(takenMs).toBeLessThanOrEqual(HEARTBEAT_TIMEOUT_MS + HEARTBEAT_INTERVAL_MS);
    const done = await scheduler.run(cli.saw('HLCP_JOB_DONE'));
    expect(done).toMatchObject({ exitCode: 1, failure: { code: 'HLSIM_HOST_LOST' } });
    expect(a.types()).toContain('HLCP_JOB_STOP');
  });

  it('a host whose connection breaks is lost at once', async () => {
    const { scheduler, host, pairs } = world(2);
    const a = host('a');
    host('b');
    await scheduler.run(a.saw('HLCP_WORLD'));
    const brokenMs = scheduler.clock.now();
    pairs.get('b')?.sever();
    await scheduler.run(a.saw('HLCP_HOST_LOST'));
    expect(scheduler.clock.now()).toBe(brokenMs);
  });

  it('hosts that send heartbeats live on, and each heartbeat is answered', async () => {
    const { scheduler, host, coordinator } = world(1);
    const a = host('a');
    await scheduler.run(delay(scheduler, 60_000));
    const answers = a.heard.filter((message) => message.type === 'HLCP_HEARTBEAT_ACK');
    expect(answers.slice(0, 100).map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: 100 }, (_, index) => index),
    );
    expect(coordinator.status()).toMatchObject({ state: 'complete', uptimeMs: 60_000 });
  });

  it('a connection that says nothing is closed, and told why', async () => {
    const { scheduler, coordinator } = world(1);
    const { dialled, accepted } = controlPair(scheduler);
    coordinator.acceptHost(accepted);
    const mute: HostPeer = new Peer(dialled);
    const reason = await scheduler.run(mute.closed);
    expect(reason?.code).toBe('HLSIM_TIMEOUT');
    expect(scheduler.clock.now()).toBe(HELLO_TIMEOUT_MS);
  });

  it('a message against the schema ends its connection only', async () => {
    const { scheduler, host, coordinator, log } = world(2);
    const a = host('a');
    const b = host('b');
    await scheduler.run(a.saw('HLCP_WORLD'));
    b.send({ type: 'HLCP_HEARTBEAT', sequence: -1 });
    const reason = await scheduler.run(b.closed);
    expect(reason?.code).toBe('HLSIM_PROTOCOL_ERROR');
    expect(reason?.message).toContain('sequence');
    expect(log.lines.map(({ message }) => message)).toContain('connection broke the protocol');
    await scheduler.run(a.saw('HLCP_HOST_LOST'));
    expect(coordinator.status().hosts.map(({ hostname }) => hostname)).toEqual(['a']);
  });

  it('a job can be submitted from the day before, so to speak: before any host is there', async () => {
    const { scheduler, host, client } = world(1);
    const cli = client();
    cli.send(submit('/p.js'));
    await scheduler.run(delay(scheduler, 9_000));
    host('late');
    expect(await scheduler.run(cli.saw('HLCP_JOB_DONE'))).toMatchObject({ exitCode: 0 });
  });

  it('shutdown() ends the hosts, then calls onShutdown once', async () => {
    const { scheduler, host, coordinator, down } = world(2);
    const hosts = [host('a'), host('b')];
    await scheduler.run(delay(scheduler, 100));
    coordinator.shutdown('enough');
    await scheduler.run(down);
    for (const each of hosts) expect(each.types()).toContain('HLCP_SHUTDOWN');
    expect(scheduler.clock.now()).toBe(100);
  });

  it('a report that is too long is refused where it is sent', () => {
    const { host } = world(1);
    const a = host('a');
    const json = 'x'.repeat(5 * 1024 * 1024);
    expect(() => a.send({ type: 'HLCP_JOB_REPORT', jobId: 'j', rank: 0, json })).toThrowError(
      /split it before sending/,
    );
  });
});
