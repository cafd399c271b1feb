/** A host's answers about its devices: real driver, dma-bufs, processes and system calls, virtual time. */
import { describe, expect, it } from 'vitest';
import { MiB } from '../../common/bytes.ts';
import { delay, VirtualScheduler } from '../../common/scheduler.ts';
import type { DmaBufReport } from '../../coordinator/hlcp/device-messages.ts';
import { type HostToCoordinator, hostToCoordinator } from '../../coordinator/hlcp/messages.ts';
import { createDevice } from '../../node/device/device.ts';
import * as hlthunk from '../../node/device/hlthunk.ts';
import { OWNERSHIP_POLICIES, type OwnershipPolicy } from '../../node/device/ownership.ts';
import { DeviceService } from '../../node/device-service.ts';
import { DmaBufList } from '../../node/dmabuf/export.ts';
import { HeldDevice } from '../../node/held-device.ts';
import { registerDescriptorCalls } from '../../node/process/descriptor-calls.ts';
import { ProcessTable } from '../../node/process/process-table.ts';
import type { SimProcess } from '../../node/process/sim-process.ts';
import { inlineChannel, SystemCallTable } from '../../node/process/system-call-table.ts';

const BYTES = 64 * 1024;

/** Two devices, of which the second can import, on one host. */
function host(ownership: OwnershipPolicy = 'owner') {
  const scheduler = new VirtualScheduler();
  const processes = new ProcessTable();
  const table = new SystemCallTable();
  const nodes = registerDescriptorCalls(table);
  const devices = [0, 1].map((index) => {
    const dmaBufs = new DmaBufList();
    const shared = { hbmBytes: MiB, apertureBytes: MiB, scheduler, processes, dmaBufs, ownership };
    const held = new HeldDevice(createDevice({ index, ...shared }), dmaBufs, processes);
    held.register(nodes);
    return held;
  });
  const sent: HostToCoordinator[] = [];
  const service = new DeviceService({
    devices,
    processes,
    scheduler,
    // As the coordinator reads it.
    send: (message) => sent.push(hostToCoordinator.parse(structuredClone(message))),
  });

  function tenant(containerId: string) {
    const process = processes.create({ containerId });
    return { process, channel: inlineChannel(table, process) };
  }

  async function report() {
    service.status(sent.length);
    const message = sent.findLast(({ type }) => type === 'HLCP_DEVICE_REPORT');
    if (message?.type !== 'HLCP_DEVICE_REPORT') throw new Error('Expected a report');
    return message;
  }

  async function evict(request: { device?: number; graceMs?: number; retries?: number } = {}) {
    const requestId = sent.length + 1_000;
    const { device = 0, graceMs = 0, retries = 0 } = request;
    service.evict({ type: 'HLCP_EVICT', requestId, host: 0, device, graceMs, retries });
    const isDone = () =>
      sent.some((one) => one.type === 'HLCP_EVICT_DONE' && one.requestId === requestId);
    while (!isDone()) await delay(scheduler, 1);
    const steps = sent.flatMap((one) =>
      one.type === 'HLCP_EVICT_STEP' && one.requestId === requestId ? [one.step] : [],
    );
    const done = sent.findLast(
      (one) => one.type === 'HLCP_EVICT_DONE' && one.requestId === requestId,
    );
    return {
      steps,
      done,
      victims: steps.flatMap(({ action, process }) =>
        action === 'found' && process ? [process] : [],
      ),
    };
  }

  return { scheduler, devices, service, sent, tenant, report, evict };
}

type Tenant = ReturnType<ReturnType<typeof host>['tenant']>;

/** Opens device `index`, and exports memory of it. */
async function exporter({ channel }: Tenant, index = 0) {
  const device = await hlthunk.hlthunk_open(channel, index);
  const handle = await hlthunk.hlthunk_device_memory_alloc(channel, device, BYTES);
  const address = await hlthunk.hlthunk_device_memory_map(channel, device, handle);
  const dmaBuf = await hlthunk.hlthunk_device_mapped_memory_export_dmabuf_fd(
    ...([channel, device, address, BYTES, 0] as const),
  );
  return { device, dmaBuf };
}

/** As a message over a unix socket does. */
function pass(fd: number, from: SimProcess, to: SimProcess): number {
  const file = from.fds.lookup(fd);
  const target = to.fds.reserve();
  if (typeof file === 'string' || typeof target !== 'number') throw new Error('Expected a file');
  to.fds.install(target, file.get());
  return target;
}

function users({ attachments, descriptors }: DmaBufReport) {
  return {
    attachments: attachments.map(({ importer, holder }) => [importer, holder?.pid]),
    descriptors: descriptors.map(({ pid, fd }) => [pid, fd]),
  };
}

describe('the report of a host', () => {
  it('of devices that nobody has', async () => {
    const { report } = host();
    const { devices, dmaBufs } = await report();
    expect(dmaBufs).toEqual([]);
    expect(devices.map(({ index }) => index)).toEqual([0, 1]);
    for (const device of devices) {
      expect(device).toMatchObject({
        status: 'OPERATIONAL',
        use: 'free',
        ownership: 'owner',
        owner: null,
        hbmBytes: MiB,
        hbmUsedBytes: 0,
        exportedDmaBufs: 0,
        memoryRegions: 0,
      });
    }
  });

  it('says who has a device and its memory, and for whom another device imports it', async () => {
    const { scheduler, tenant, report } = host();
    const a = tenant('a');
    const b = tenant('b');
    const { device, dmaBuf } = await scheduler.run(exporter(a));
    const other = await scheduler.run(hlthunk.hlthunk_open(b.channel, 1));
    const copy = pass(dmaBuf, a.process, b.process);
    await scheduler.run(hlthunk.hlthunk_import_dmabuf_fd(b.channel, other, copy, BYTES));
    const { devices, dmaBufs } = await report();
    const owner = { pid: a.process.pid, containerId: 'a' };
    expect(devices[0]).toMatchObject({ use: 'open', owner, hbmUsedBytes: BYTES });
    expect(devices[0]).toMatchObject({ exportedDmaBufs: 1, memoryRegions: 1 });
    expect(devices[1]).toMatchObject({ use: 'open', memoryRegions: 0 });
    expect(dmaBufs).toHaveLength(1);
    expect(dmaBufs[0]).toMatchObject({
      device: 0,
      size: BYTES,
      exporter: 'habanalabs',
      state: 'live',
    });
    expect(dmaBufs.map(users)).toEqual([
      {
        attachments: [[expect.any(String), b.process.pid]],
        descriptors: [
          [a.process.pid, dmaBuf],
          [b.process.pid, copy],
        ],
      },
    ]);
    a.process.fds.close(device);
    expect((await report()).devices[0]).toMatchObject({ use: 'releasing', owner });
  });

  it('bounds what it lists, and counts the rest', async () => {
    const { scheduler, tenant, report } = host();
    const a = tenant('a');
    const { dmaBuf } = await scheduler.run(exporter(a));
    for (let copy = 0; copy < 40; copy++) a.process.fds.dup(dmaBuf);
    const [first] = (await report()).dmaBufs;
    expect(first?.descriptors).toHaveLength(32);
    expect(first?.descriptorsOmitted).toBe(9);
  });
});

describe('an eviction', () => {
  it.each(OWNERSHIP_POLICIES)('ends the process that has the device open (%s)', async (policy) => {
    const { scheduler, tenant, evict, report } = host(policy);
    const a = tenant('a');
    await scheduler.run(exporter(a));
    const { done, victims } = await scheduler.run(evict());
    expect(done).toMatchObject({ outcome: 'free' });
    expect(victims).toMatchObject([{ pid: a.process.pid, containerId: 'a', how: 'opener' }]);
    expect(a.process.exitStatus).toEqual({ signal: 'SIGTERM' });
    expect((await report()).devices[0]).toMatchObject({
      use: 'free',
      owner: null,
      hbmUsedBytes: 0,
    });
  });

  it('ends the one to whom the device was passed, when the one who opened it has gone', async () => {
    const { scheduler, tenant, evict } = host();
    const a = tenant('a');
    const b = tenant('b');
    const { device } = await scheduler.run(exporter(a));
    pass(device, a.process, b.process);
    a.process.exit();
    const { done, victims } = await scheduler.run(evict());
    expect(done).toMatchObject({ outcome: 'free' });
    expect(victims).toMatchObject([{ pid: b.process.pid, how: 'opener' }]);
  });

  it('ends importers and holders of descriptors, and nobody who has closed the device', async () => {
    const { scheduler, tenant, evict } = host();
    const a = tenant('a');
    const [b, c] = [tenant('b'), tenant('c')];
    const { device, dmaBuf } = await scheduler.run(exporter(a));
    pass(dmaBuf, a.process, c.process);
    const copy = pass(dmaBuf, a.process, b.process);
    const other = await scheduler.run(hlthunk.hlthunk_open(b.channel, 1));
    await scheduler.run(hlthunk.hlthunk_import_dmabuf_fd(b.channel, other, copy, BYTES));
    for (const fd of [device, dmaBuf]) a.process.fds.close(fd);
    const { done, victims } = await scheduler.run(evict());
    expect(done).toMatchObject({ outcome: 'free' });
    expect(victims.map(({ pid, how }) => [pid, how])).toEqual([
      [b.process.pid, 'importer'],
      [c.process.pid, 'descriptor'],
    ]);
    expect(a.process.state).toBe('running');
  });

  it('disables a device that nobody known keeps, says so, and open answers EPERM', async () => {
    const { scheduler, tenant, evict, report } = host();
    const a = tenant('a');
    const { dmaBuf } = await scheduler.run(exporter(a));
    const file = a.process.fds.lookup(dmaBuf);
    if (typeof file === 'string') throw new Error('Expected a file');
    // In flight between two processes: in nobody's table.
    file.get();
    const { done } = await scheduler.run(evict({ retries: 1 }));
    expect(done).toMatchObject({ outcome: 'disabled', failure: { code: 'HLSIM_TIMEOUT' } });
    expect(done).toHaveProperty('failure.message', expect.stringContaining('after 2 trials'));
    expect((await report()).devices[0]).toMatchObject({
      status: 'MALFUNCTION',
      disabledReason: expect.stringContaining('nobody that is known'),
    });
    const opening = hlthunk.hlthunk_open(tenant('next').channel, 0);
    await expect(scheduler.run(opening)).rejects.toMatchObject({ code: 'EPERM' });
    file.put();
  });

  it('says of a device without ownership that it is free, and who still reaches its memory', async () => {
    const { scheduler, tenant, evict } = host('none');
    const a = tenant('a');
    const b = tenant('b');
    const { dmaBuf } = await scheduler.run(exporter(a));
    pass(dmaBuf, a.process, b.process);
    const { done, steps } = await scheduler.run(evict());
    expect(done).toMatchObject({ outcome: 'free' });
    expect(b.process.state).toBe('running');
    expect(steps.at(-1)?.text).toContain(`though its memory is still held by pid ${b.process.pid}`);
  });

  it('takes a second request for the device in, and ends both at once', async () => {
    const { scheduler, tenant, evict } = host();
    const a = tenant('a');
    a.process.terminationAction = 'handle';
    await scheduler.run(exporter(a));
    const first = evict({ graceMs: 1_000 });
    await scheduler.run(delay(scheduler, 100));
    const both = await scheduler.run(Promise.all([first, evict({ graceMs: 30_000 })]));
    expect(both.map(({ done }) => done)).toMatchObject([{ outcome: 'free' }, { outcome: 'free' }]);
    expect(both[1]?.steps[0]?.action).toBe('joined');
    expect(both[1]?.steps.slice(1)).toEqual(both[0]?.steps.slice(-both[1].steps.length + 1));
    expect(scheduler.clock.now()).toBeLessThan(2_000);
  });

  it('of a device that is not there fails, and says which are', async () => {
    const { scheduler, evict } = host();
    const { done } = await scheduler.run(evict({ device: 2 }));
    expect(done).toMatchObject({ outcome: 'failed', failure: { code: 'HLSIM_USAGE' } });
    expect(done).toHaveProperty('failure.message', 'Expected a device from 0 to 1 but found 2');
  });
});
