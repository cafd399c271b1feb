/** A user process of a simulated host as the random program knows it: what it holds, and since when. */
import type { SimProcess } from '../../../node/process/sim-process.ts';
import type { SystemCallChannel } from '../../../node/process/system-call.ts';
import type { IbvContext, IbvPd } from '../../../node/verbs/context.ts';
import type { End } from './connection.ts';
import type { Counter, ShadowBuffer, ShadowRegion, Slot } from './shadow-buffer.ts';
import type { Allocation, Opening, ShadowDevice } from './shadow-device.ts';
import type { SimulatedHost } from './simulated-host.ts';

/** Device memory that an open has allocated. */
export interface Memory {
  readonly opening: Opening;
  readonly handle: number;
  readonly allocation: Allocation;
  /** Device address, while it is mapped. */
  address: number | undefined;
  /** A call that changes it is under way. */
  busy: boolean;
  readonly buffers: Set<ShadowBuffer>;
  readonly slots: readonly Slot[];
  readonly counter: Counter;
}

export type Descriptor =
  | { readonly kind: 'device'; readonly opening: Opening }
  | { readonly kind: 'control'; readonly device: ShadowDevice }
  | { readonly kind: 'buffer'; readonly buffer: ShadowBuffer };

export interface Verbs {
  readonly context: IbvContext;
  readonly pd: IbvPd;
}

export class SimulatedUser {
  readonly host: SimulatedHost;
  readonly process: SimProcess;
  readonly channel: SystemCallChannel;
  readonly privileged: boolean;
  readonly descriptors = new Map<number, Descriptor>();
  readonly regions = new Set<ShadowRegion>();
  readonly ends = new Set<End>();
  verbs: Verbs | undefined;
  state: 'running' | 'dead' = 'running';
  /** Calls under way. */
  calls = 0;
  /** Its memory is used to stage a DMA. */
  staging = false;

  constructor(
    host: SimulatedHost,
    process: SimProcess,
    channel: SystemCallChannel,
    privileged: boolean,
  ) {
    this.host = host;
    this.process = process;
    this.channel = channel;
    this.privileged = privileged;
  }

  get name(): string {
    return `h${this.host.index}p${this.process.pid}`;
  }

  devices(): { readonly fd: number; readonly opening: Opening }[] {
    const found = [];
    for (const [fd, one] of this.descriptors) {
      if (one.kind === 'device') found.push({ fd, opening: one.opening });
    }
    return found;
  }

  buffers(): { readonly fd: number; readonly buffer: ShadowBuffer }[] {
    const found = [];
    for (const [fd, one] of this.descriptors) {
      if (one.kind === 'buffer') found.push({ fd, buffer: one.buffer });
    }
    return found;
  }
}
