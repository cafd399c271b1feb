/** Questions about devices, against a real coordinator over connections in memory, in virtual time. */
import { describe, expect, it } from 'vitest';
import { DeviceQuestions } from '../../cli/device-questions.ts';
import { delay, VirtualScheduler } from '../../common/scheduler.ts';
import { createCoordinator } from '../../coordinator/coordinator.ts';
import { DEVICE_STATUS_TIMEOUT_MS } from '../../coordinator/device-inquiries.ts';
import { EVICT_SILENCE_MS } from '../../coordinator/evictions.ts';
import { type ControlPair, controlPair } from '../../coordinator/hlcp/memory-connection.ts';
import type { CoordinatorToHost, HostToCoordinator } from '../../coordinator/hlcp/messages.ts';
import { CLIENT_HELLO, type HostPeer, Peer, rankData, recordingLog } from '../coordinator/peers.ts';

type React = (message: CoordinatorToHost, peer: HostPeer) => unknown;

/** Answers every question at once; frees devices in two steps. */
const obliging: React = (message, peer) => {
  if (message.type === 'HLCP_DEVICE_STATUS') {
    const { requestId } = message;
    const empty = { devices: [], dmaBufs: [], dmaBufsOmitted: 0 };
    peer.send({ type: 'HLCP_DEVICE_REPORT', requestId, ...empty });
  } else if (message.type === 'HLCP_EVICT') {
    const { requestId, device } = message;
    for (const text of ['asks', 'kills']) {
      const step = { trial: 1, action: 'found', status: 'OPERATIONAL', text } as const;
      peer.send({ type: 'HLCP_EVICT_STEP', requestId, step });
    }
    const outcome = device === 0 ? 'free' : 'disabled';
    peer.send({ type: 'HLCP_EVICT_DONE', requestId, outcome });
  }
};

function world(hosts: Readonly<Record<string, React>>) {
  const scheduler = new VirtualScheduler();
  const names = Object.keys(hosts);
  const coordinator = createCoordinator({
    expectedHosts: names.length,
    scheduler,
    log: recordingLog(),
    onShutdown: () => undefined,
  });
  const pairs = new Map<string, ControlPair<HostToCoordinator, CoordinatorToHost>>();
  for (const [name, react] of Object.entries(hosts)) {
    const pair = controlPair(scheduler);
    pairs.set(name, pair);
    coordinator.acceptHost(pair.accepted);
    const peer: HostPeer = new Peer(pair.dialled, react);
    peer.send(rankData(name, { devices: 2 }));
    const beat = (sequence: number): void => {
      peer.send({ type: 'HLCP_HEARTBEAT', sequence });
      scheduler.after(500, () => beat(sequence + 1));
    };
    beat(0);
  }
  const client = () => {
    const { dialled, accepted } = controlPair(scheduler, 'client');
    coordinator.acceptClient(accepted);
    const questions = new DeviceQuestions((message) => dialled.send(message), scheduler);
    dialled.listen({ message: (message) => questions.receive(message), closed: () => undefined });
    dialled.send(CLIENT_HELLO);
    return { questions, connection: dialled };
  };
  return { scheduler, pairs, client };
}

const EVICT = { host: 0, device: 0, graceMs: 1_000, retries: 1 };

describe('DeviceQuestions', () => {
  it('hears of every host, in order of index, whoever asks at the same time', async () => {
    const late: (() => void)[] = [];
    const { scheduler, client } = world({
      a: (message, peer) => late.push(() => obliging(message, peer)),
      b(message, peer) {
        obliging(message, peer);
        for (const answer of late.splice(0)) answer();
      },
    });
    const all = [client(), client(), client()].map(({ questions }) => questions.status());
    for (const { hosts, failures } of await scheduler.run(Promise.all(all))) {
      expect(hosts.map(({ host }) => host.hostname)).toEqual(['a', 'b']);
      expect(failures).toEqual([]);
    }
  });

  it('hears which host died while it was asked', async () => {
    const { scheduler, pairs, client } = world({ a: obliging, b: () => undefined });
    const asking = client().questions.status();
    scheduler.after(100, () => pairs.get('b')?.sever());
    const { hosts, failures } = await scheduler.run(asking);
    expect(hosts.map(({ host }) => host.hostname)).toEqual(['a']);
    expect(failures).toMatchObject([
      { host: { index: 1, hostname: 'b' }, failure: { code: 'HLSIM_HOST_LOST' } },
    ]);
    expect(scheduler.clock.now()).toBe(100);
  });

  it('hears which host does not answer, in bounded time', async () => {
    const { scheduler, client } = world({ a: () => undefined });
    const { hosts, failures } = await scheduler.run(client().questions.status());
    expect(hosts).toEqual([]);
    expect(failures).toMatchObject([{ failure: { code: 'HLSIM_TIMEOUT' } }]);
    expect(scheduler.clock.now()).toBe(DEVICE_STATUS_TIMEOUT_MS);
  });

  it('gives up by itself where nobody answers at all', async () => {
    const scheduler = new VirtualScheduler();
    const mute = new DeviceQuestions(() => undefined, scheduler);
    await expect(scheduler.run(mute.status())).rejects.toMatchObject({ code: 'HLSIM_TIMEOUT' });
    const evicting = mute.evict(EVICT, () => undefined);
    await expect(scheduler.run(evicting)).rejects.toMatchObject({ code: 'HLSIM_TIMEOUT' });
  });

  it('hears the steps of its eviction in order, and how it ended', async () => {
    const { scheduler, client } = world({ a: obliging });
    const { questions } = client();
    await scheduler.run(delay(scheduler, 1));
    const heard: string[] = [];
    const both = [0, 1].map((device) =>
      questions.evict({ ...EVICT, device }, ({ text }) => heard.push(`${device} ${text}`)),
    );
    const ends = await scheduler.run(Promise.all(both));
    expect(ends.map(({ outcome }) => outcome)).toEqual(['free', 'disabled']);
    expect(heard.toSorted()).toEqual(['0 asks', '0 kills', '1 asks', '1 kills']);
  });

  it.each([
    [{ host: 1 }, 'HLSIM_USAGE', /from 0 to 0, as this cluster has, but found 1/],
    [{ device: 2 }, 'HLSIM_USAGE', /from 0 to 1, as host 0 \(a\) has, but found 2/],
  ])('an eviction of %o fails and says what there is', async (wrong, code, words) => {
    const { scheduler, client } = world({ a: obliging });
    const { questions } = client();
    await scheduler.run(delay(scheduler, 1));
    const end = await scheduler.run(questions.evict({ ...EVICT, ...wrong }, () => undefined));
    expect(end.outcome).toBe('failed');
    expect(end.failure?.code).toBe(code);
    expect(end.failure?.message).toMatch(words);
    expect((await scheduler.run(questions.status())).hosts).toHaveLength(1);
  });

  it('an eviction ends when its host dies, or says nothing any more', async () => {
    const { scheduler, pairs, client } = world({ a: () => undefined, b: () => undefined });
    const { questions } = client();
    await scheduler.run(delay(scheduler, 1));
    const silent = questions.evict({ ...EVICT, host: 1 }, () => undefined);
    const dying = questions.evict(EVICT, () => undefined);
    scheduler.after(100, () => pairs.get('a')?.sever());
    expect(await scheduler.run(dying)).toMatchObject({
      outcome: 'failed',
      failure: { code: 'HLSIM_HOST_LOST' },
    });
    expect(await scheduler.run(silent)).toMatchObject({
      outcome: 'failed',
      failure: { code: 'HLSIM_TIMEOUT' },
    });
    expect(scheduler.clock.now()).toBe(1 + EVICT.graceMs + EVICT_SILENCE_MS);
  });
});
