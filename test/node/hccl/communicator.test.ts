import { describe, expect, it } from 'vitest';
import { defined } from '../../../common/assert.ts';
import { deferred } from '../../../common/deferred.ts';
import { VirtualScheduler } from '../../../common/scheduler.ts';
import { Communicator } from '../../../node/hccl/communicator.ts';
import type { CommunicatorInit } from '../../../node/hccl/communicator-init.ts';
import type { CommListener } from '../../../node/hccl/job-services.ts';

/** A communicator whose device is busy until `kernelsEnd`, and its line to the coordinator. */
function busyCommunicator() {
  const kernels = deferred<void>();
  const listeners = new Set<CommListener>();
  const services: Partial<CommunicatorInit['services']> = {
    watchCommunicator(_key, listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const session: Partial<CommunicatorInit['session']> = { idle: () => kernels.promise };
  const communicator = new Communicator({
    key: { jobId: 'job', uniqueId: 'unique', epoch: 1 },
    rank: 0,
    nranks: 2,
    session: session as CommunicatorInit['session'],
    scheduler: new VirtualScheduler(),
    services: services as CommunicatorInit['services'],
    observe: undefined,
    machine: undefined,
    provider: 'auto',
    progress: 'manual',
    cores: undefined,
  });
  const listener = defined([...listeners][0], 'a listener');
  return { communicator, listener, listeners, kernelsEnd: () => kernels.resolve() };
}

describe('communicator', () => {
  it('reports a verdict to nobody before the kernels that run have ended', async () => {
    const { communicator, listener, kernelsEnd } = busyCommunicator();
    listener.failed({ result: 'hcclPortDown', message: 'Rank 1 died' });
    await Promise.resolve();
    expect(communicator.asyncError.result).toBe('hcclSuccess');
    expect(() => communicator.throwIfFailed()).not.toThrow();
    kernelsEnd();
    await Promise.resolve();
    expect(communicator.asyncError).toEqual({ result: 'hcclPortDown', message: 'Rank 1 died' });
    expect(() => communicator.throwIfFailed()).toThrow(/hcclPortDown: Rank 1 died/);
  });

  it('that is still being put together leaves lost hosts to the coordinator', () => {
    const { communicator, listener, kernelsEnd } = busyCommunicator();
    kernelsEnd();
    listener.hostLost({ nodeId: 'node-7', hostname: 'host-7', ranks: [0, 1], reason: 'gone' });
    expect(communicator.asyncError.result).toBe('hcclTryAgain');
  });

  it('hears nothing any more once it is closed', async () => {
    const { communicator, listeners, kernelsEnd } = busyCommunicator();
    kernelsEnd();
    await communicator.leave();
    expect(listeners.size).toBe(0);
    expect(() => communicator.throwIfFailed()).toThrow(/The communicator was destroyed/);
  });
});
