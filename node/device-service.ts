/** A host's answers about its devices: how they are (`hlsim smi`, `dmabuf`), and freeing one (`evict`). */
import { MiB } from '../common/bytes.ts';
import { HlsimError, messageOf } from '../common/errors.ts';
import type { Scheduler } from '../common/scheduler.ts';
import {
  type DeviceReport,
  DMA_BUF_USERS_REPORTED_MAX,
  DMA_BUFS_REPORTED_MAX,
  type DmaBufReport,
  type Evict,
  type EvictStep,
  OPENERS_REPORTED_MAX,
} from '../coordinator/hlcp/device-messages.ts';
import type { HostToCoordinator } from '../coordinator/hlcp/messages.ts';
import { failureOf } from '../coordinator/hlcp/refusal.ts';
import type { DeviceDescription } from './device/description.ts';
import { type DmaBufDescription, describeDmaBuf } from './dmabuf/bufinfo.ts';
import { type EvictionResult, evictDevice } from './eviction.ts';
import type { HeldDevice } from './held-device.ts';
import type { Descriptor, ProcessTable } from './process/process-table.ts';

export interface DeviceServiceInit {
  readonly devices: readonly HeldDevice[];
  readonly processes: ProcessTable;
  readonly scheduler: Scheduler;
  readonly send: (message: HostToCoordinator) => void;
}

/**
 * Text of the dma-bufs of one report: programs choose how long it gets, and a message has a bound
 * (`HLCP_MESSAGE_BYTES_MAX`). The rest of the report is small.
 */
const REPORT_BYTES_MAX = 2 * MiB;

/** The first of them, as many as fit: their length as JSON stands for that as MessagePack, with room to spare. */
function thoseThatFit(all: readonly DmaBufReport[]): DmaBufReport[] {
  const fitting: DmaBufReport[] = [];
  let bytes = 0;
  for (const one of all.slice(0, DMA_BUFS_REPORTED_MAX)) {
    bytes += Buffer.byteLength(JSON.stringify(one));
    if (bytes > REPORT_BYTES_MAX) break;
    fitting.push(one);
  }
  return fitting;
}

export class DeviceService {
  readonly #init: DeviceServiceInit;
  /** Evictions under way by device, with the numbers of those who asked. */
  readonly #evictions = new Map<number, Set<number>>();
  readonly #closed = new AbortController();

  constructor(init: DeviceServiceInit) {
    this.#init = init;
  }

  /** Answers `HLCP_DEVICE_STATUS`. */
  status(requestId: number): void {
    const { devices, send } = this.#init;
    const all = devices.flatMap((held) => this.#dmaBufReports(held));
    const dmaBufs = thoseThatFit(all);
    send({
      type: 'HLCP_DEVICE_REPORT',
      requestId,
      devices: devices.map(({ device }) => deviceReport(device.driver.describe())),
      dmaBufs,
      dmaBufsOmitted: all.length - dmaBufs.length,
    });
  }

  /** Answers `HLCP_EVICT`, step by step. One eviction per device: who asks later joins in. */
  evict(request: Evict): void {
    const { requestId, device: index } = request;
    const held = this.#init.devices[index];
    if (held === undefined) {
      const words = `Expected a device from 0 to ${this.#init.devices.length - 1} but found ${index}`;
      this.#fail(requestId, 'failed', new HlsimError('HLSIM_USAGE', words));
      return;
    }
    const listeners = this.#evictions.get(index);
    if (listeners === undefined) {
      void this.#evict(held, request);
      return;
    }
    listeners.add(requestId);
    const { status } = held.device.driver.describe();
    const text = `Device ${index} is being freed already: this request joins in`;
    this.#tell([requestId], { trial: 0, action: 'joined', status, text });
  }

  /** Stops what is under way: the host is ending. */
  close(): void {
    this.#closed.abort();
  }

  /** Never rejects. */
  async #evict(held: HeldDevice, { requestId, graceMs, retries }: Evict): Promise<void> {
    const { processes, scheduler } = this.#init;
    const { index, driver } = held.device;
    const listeners = new Set([requestId]);
    this.#evictions.set(index, listeners);
    try {
      const result = await evictDevice({
        device: {
          index,
          describe: () => driver.describe(),
          holders: () => held.holders(),
          disable: (reason) => driver.disable(reason),
        },
        processes,
        scheduler,
        graceMs,
        retries,
        report: (step) => this.#tell(listeners, step),
        signal: this.#closed.signal,
      });
      for (const id of listeners) this.#end(id, index, result);
    } catch (cause) {
      const words = `The eviction of device ${index} failed: ${messageOf(cause)}`;
      const error = new HlsimError('HLSIM_INTERNAL', words, { cause });
      for (const id of listeners) this.#fail(id, 'failed', error);
    } finally {
      this.#evictions.delete(index);
    }
  }

  #tell(requestIds: Iterable<number>, step: EvictStep): void {
    for (const requestId of requestIds) {
      this.#init.send({ type: 'HLCP_EVICT_STEP', requestId, step });
    }
  }

  #end(requestId: number, index: number, result: EvictionResult): void {
    switch (result.outcome) {
      case 'free':
        this.#init.send({ type: 'HLCP_EVICT_DONE', requestId, outcome: 'free' });
        break;
      case 'disabled': {
        const words = `Expected device ${index} to be free but it is disabled, ${result.reason}: nobody can open it until its host is started anew`;
        this.#fail(requestId, 'disabled', new HlsimError('HLSIM_TIMEOUT', words));
        break;
      }
      case 'stopped':
        // A host that ends is lost to the coordinator, which tells the client.
        break;
    }
  }

  #fail(requestId: number, outcome: 'disabled' | 'failed', error: HlsimError): void {
    const failure = failureOf(error);
    this.#init.send({ type: 'HLCP_EVICT_DONE', requestId, outcome, failure });
  }

  #dmaBufReports({ device, dmaBufs }: HeldDevice): DmaBufReport[] {
    return dmaBufs.dmaBufs.map((dmaBuf) => {
      const descriptors = this.#init.processes.descriptorsOf(dmaBuf.file);
      return dmaBufReport(device.index, describeDmaBuf(dmaBuf), descriptors);
    });
  }
}

function deviceReport(device: DeviceDescription): DeviceReport {
  const { submissions: _, owner, openers, resets, ...rest } = device;
  return {
    ...rest,
    owner: owner === null ? null : { ...owner },
    openers: openers.slice(0, OPENERS_REPORTED_MAX).map((opener) => ({ ...opener })),
    resets: { ...resets },
  };
}

function dmaBufReport(
  device: number,
  { attachments, fences, ...description }: DmaBufDescription,
  descriptors: readonly Descriptor[],
): DmaBufReport {
  return {
    device,
    ...description,
    fences: { ...fences },
    attachments: attachments.slice(0, DMA_BUF_USERS_REPORTED_MAX).map((one) => ({ ...one })),
    attachmentsOmitted: Math.max(0, attachments.length - DMA_BUF_USERS_REPORTED_MAX),
    descriptors: descriptors.slice(0, DMA_BUF_USERS_REPORTED_MAX).map((one) => ({ ...one })),
    descriptorsOmitted: Math.max(0, descriptors.length - DMA_BUF_USERS_REPORTED_MAX),
  };
}
