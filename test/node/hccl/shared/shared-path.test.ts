/** What a rank has of its device for shared memory, and that it gives it back whenever it ends. */
import { describe, expect, it } from 'vitest';
import { defined } from '../../../../common/assert.ts';
import { KiB } from '../../../../common/bytes.ts';
import { ranksOf } from '../../../../common/math.ts';
import { delay } from '../../../../common/scheduler.ts';
import type { GaudiDevice } from '../../../../node/device/device.ts';
import { hlthunk_open } from '../../../../node/device/hlthunk.ts';
import type { SharedMessage } from '../../../../node/hccl/control-message.ts';
import { DeviceSession } from '../../../../node/hccl/device-session.ts';
import type { SharedMachine } from '../../../../node/hccl/shared/shared-machine.ts';
import { SharedPath } from '../../../../node/hccl/shared/shared-path.ts';
import { allocate, SimulatedCluster } from '../../../simulation/simulated-cluster.ts';

const BUFFER_BYTES = 64 * KiB;

interface Place {
  readonly path: SharedPath;
  readonly device: GaudiDevice;
  readonly sent: SharedMessage[];
  /** Lets everything that is under way go on for a moment. */
  turn(): Promise<void>;
}

/** A machine whose device can map nothing of others: what it is told to share is refused. */
const MACHINE: SharedMachine = {
  wires: undefined,
  peers: { offer: () => 'refused', take: () => undefined },
  deviceOf: () => ({ index: 0, importShared: () => 'ENODEV', dropImport: () => undefined }),
  nextWindow: () => 1,
  wake: () => undefined,
};

/** Runs `work` as rank 0 of two; the other never says a word but that it could share memory. */
async function withPath(work: (place: Place) => Promise<void>): Promise<void> {
  const cluster = new SimulatedCluster({ hosts: 1, devices: 1, ownership: 'revoke' });
  const { scheduler } = cluster;
  const job = await cluster.run(async ({ process, channel, localRank }) => {
    const host = defined(cluster.hosts[0], 'a host');
    const fd = await hlthunk_open(channel, localRank);
    const session = new DeviceSession({ process, channel, nic: host.nic, scheduler, fd });
    await allocate(channel, fd, BUFFER_BYTES);
    const sent: SharedMessage[] = [];
    const path = new SharedPath({
      ...{ rank: 0, nranks: 2, session, scheduler, machine: MACHINE, provider: 'auto' },
      key: { uniqueId: 'unique' },
      observe: undefined,
      nodeIdOf: (peer) => `node-${peer}`,
      send: (_, message) => void sent.push(message),
      fail: (failure) => expect(failure).toBeUndefined(),
    });
    path.able(1);
    const device = defined(host.devices[localRank], 'a device');
    await work({ path, device, sent, turn: () => delay(scheduler, 1) });
  });
  const [failure] = job.errors.values();
  if (failure !== undefined) throw failure;
}

describe('the memory of a rank that could share it', () => {
  it.each(ranksOf(12))('is given back by one that ends %i turns after it began', async (turns) => {
    await withPath(async ({ path, device, turn }) => {
      const agreeing = path.agree();
      for (let count = 0; count < turns; count++) await turn();
      await path.release();
      await agreeing;
      expect(path.isOn).toBe(false);
      expect(path.places).toBeUndefined();
      expect(device.usage().allocatedBytes).toBe(BUFFER_BYTES);
    });
  });

  it('is given back when the ranks find that they cannot, before anybody is told', async () => {
    await withPath(async ({ path, device, sent, turn }) => {
      const agreeing = path.agree();
      while (!sent.some(({ kind }) => kind === 'PATH')) await turn();
      expect(sent).toContainEqual({ kind: 'PATH', path: 'ws' });
      expect(device.usage().allocatedBytes).toBeGreaterThan(BUFFER_BYTES);
      path.heard(1, { kind: 'PATH', path: 'p2p' });
      await agreeing;
      expect(path.isOn).toBe(false);
      expect(device.usage().allocatedBytes).toBe(BUFFER_BYTES);
      await path.release();
    });
  });
});
