/**
 * A device with what its host knows of those who keep it: the driver knows who opened it and for whom
 * other devices work on its memory, the process table knows who has descriptors.
 */
import type { Holder } from './device/description.ts';
import { type GaudiDevice, registerDevice } from './device/device.ts';
import { deviceNodePath } from './device/uapi.ts';
import type { DmaBufList } from './dmabuf/export.ts';
import type { DeviceNodes } from './process/descriptor-calls.ts';
import { filesReachedFrom, type OpenFile } from './process/file.ts';
import type { ProcessTable } from './process/process-table.ts';
import type { SimProcess } from './process/sim-process.ts';

/** `descriptor`: it only has a descriptor of a dma-buf. */
export interface DeviceHolder extends Omit<Holder, 'how'> {
  readonly how: Holder['how'] | 'descriptor';
}

export class HeldDevice {
  readonly device: GaudiDevice;
  /** Those that it has exported. */
  readonly dmaBufs: DmaBufList;
  readonly #processes: ProcessTable;
  /** Of its compute node. */
  readonly #files = new WeakSet<OpenFile>();

  constructor(device: GaudiDevice, dmaBufs: DmaBufList, processes: ProcessTable) {
    this.device = device;
    this.dmaBufs = dmaBufs;
    this.#processes = processes;
  }

  /** Makes the device's nodes. What is opened there is known as the device's from then on. */
  register(nodes: DeviceNodes): void {
    const register: DeviceNodes['register'] = (path, opener) => {
      nodes.register(path, (caller) => {
        const file = opener(caller);
        if (typeof file !== 'string' && file.operations.kind === 'accel') this.#files.add(file);
        return file;
      });
    };
    registerDevice({ ...nodes, register }, this.device);
  }

  /**
   * Who keeps it, each process once and for the first reason that it has, in the order in which an
   * orchestrator ends them: who has it open, for whom other devices work on its memory, who only has a
   * descriptor of its memory. Only processes that run; whoever opened it and has closed it since does
   * not keep it by that.
   */
  holders(): DeviceHolder[] {
    const { driver } = this.device;
    const isOpen = driver.describe().use === 'open';
    const known = driver.holders();
    const all: DeviceHolder[] = [
      ...known.filter(({ how }) => how === 'opener' && isOpen),
      ...this.#withDescriptor((file) => this.#files.has(file), 'opener', this.#node),
      ...known.filter(({ how }) => how === 'importer'),
      ...this.#withDescriptor((file) => this.#isDmaBuf(file), 'descriptor', 'a dma-buf'),
    ];
    const first = new Map<number, DeviceHolder>();
    for (const holder of all) {
      const runs = this.#processes.get(holder.pid)?.state === 'running';
      if (runs && !first.has(holder.pid)) first.set(holder.pid, holder);
    }
    return [...first.values()];
  }

  get #node(): string {
    return deviceNodePath(this.device.index);
  }

  #isDmaBuf(file: OpenFile): boolean {
    return this.dmaBufs.dmaBufs.some((dmaBuf) => dmaBuf.file === file);
  }

  #withDescriptor(
    wanted: (file: OpenFile) => boolean,
    how: DeviceHolder['how'],
    of: string,
  ): DeviceHolder[] {
    return this.#processes.list().flatMap((process) => {
      const fds = process.fds.entries().filter(([, file]) => filesKeptBy(file).some(wanted));
      if (fds.length === 0) return [];
      const what = `${of} (fd ${fds.map(([fd]) => fd).join(', ')})`;
      return [{ ...identityOf(process), how, what }];
    });
  }
}

/** `file`, what travels in it, and what lives by any of these. */
function filesKeptBy(file: OpenFile): OpenFile[] {
  const reached = [...filesReachedFrom(file)];
  return [...reached, ...reached.flatMap(({ operations }) => operations.holds?.() ?? [])];
}

function identityOf({ pid, containerId }: SimProcess): Pick<DeviceHolder, 'pid' | 'containerId'> {
  return { pid, containerId };
}
