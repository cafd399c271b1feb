/**
 * A NIC whose writes to device memory are posted, as on a PCI bus (PCI Express Base Specification, section
 * 2.4, transaction ordering): it reports them before they are there. They get there when the NIC reads that
 * memory, as the read pushes them ahead, or at last after `delayMs`. Hosts of hlsim have no such bus;
 * this one stands between a NIC and its transport.
 */
import { assert } from '../../common/assert.ts';
import type { Scheduler } from '../../common/scheduler.ts';
import type { FrameHeader } from '../../node/transport/frame.ts';
import type { FrameSink, Transport } from '../../node/transport/transport.ts';

/** Bytes on their way, and where they go. */
interface PostedWrite {
  readonly target: readonly Uint8Array[];
  readonly bytes: readonly Uint8Array[];
}

export interface PostedWritesInit {
  readonly scheduler: Scheduler;
  /** After this a write is in memory although nothing has pushed it. */
  readonly delayMs: number;
  /** How long a read through a connection of the host to itself is on the bus. */
  readonly readMs: number;
}

export class PostedWrites {
  readonly #init: PostedWritesInit;
  /** By memory, oldest first. */
  readonly #posted = new Map<ArrayBufferLike, PostedWrite[]>();
  /** Frames that are arriving, one per peer. */
  readonly #arriving = new Map<string, PostedWrite>();
  /** Writes that a read has pushed ahead, and those that got there by themselves. */
  readonly stored = { pushed: 0, late: 0 };

  constructor(init: PostedWritesInit) {
    this.#init = init;
  }

  /** `transport` as the NIC sees it. */
  between(transport: Transport): Transport {
    const overrides: Partial<Transport> = {
      attach: (sink) => transport.attach(this.#sink(sink)),
      send: (nodeId, header, payload) => {
        const pushed = payload.flatMap(({ buffer }) => this.#taken(buffer));
        const send = () => {
          this.stored.pushed += store(pushed);
          return transport.send(nodeId, header, payload);
        };
        if (nodeId !== transport.nodeId) return send();
        // What is posted while the read is on the bus is behind it.
        this.#init.scheduler.after(this.#init.readMs, () => {
          assert(send() === 'queued', 'Expected a connection of a host to itself to have room');
        });
        return 'queued';
      },
    };
    return new Proxy(transport, {
      get(target, name) {
        const override: unknown = Reflect.get(overrides, name);
        if (override !== undefined) return override;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  #sink(sink: FrameSink): FrameSink {
    return {
      place: (nodeId, header) => {
        const target = sink.place(nodeId, header);
        if (target === null || !isWrite(header)) return target;
        const bytes = target.map(({ byteLength }) => new Uint8Array(byteLength));
        this.#arriving.set(nodeId, { target, bytes });
        return bytes;
      },
      landed: (nodeId, header) => {
        const write = isWrite(header) ? this.#arriving.get(nodeId) : undefined;
        if (write !== undefined) this.#post(write);
        sink.landed(nodeId, header);
      },
      linkUp: (nodeId) => sink.linkUp(nodeId),
      linkDown: (nodeId) => sink.linkDown(nodeId),
      linkLost: (nodeId, reason) => sink.linkLost(nodeId, reason),
      writable: (nodeId) => sink.writable(nodeId),
      protocolError: (nodeId, reason) => sink.protocolError(nodeId, reason),
    };
  }

  #post(write: PostedWrite): void {
    const memory = write.target[0]?.buffer;
    if (memory === undefined) return;
    const queue = this.#posted.get(memory) ?? [];
    this.#posted.set(memory, queue);
    queue.push(write);
    this.#init.scheduler.after(this.#init.delayMs, () => {
      // If nothing has pushed it, it is the oldest: those before it got there before.
      if (queue[0] === write) this.stored.late += store(queue.splice(0, 1));
    });
  }

  #taken(memory: ArrayBufferLike): readonly PostedWrite[] {
    return this.#posted.get(memory)?.splice(0) ?? [];
  }
}

function store(writes: readonly PostedWrite[]): number {
  for (const { target, bytes } of writes) {
    target.forEach((view, index) => {
      view.set(bytes[index] ?? []);
    });
  }
  return writes.length;
}

function isWrite({ type }: FrameHeader): boolean {
  return type === 'WRITE' || type === 'WRITE_IMM';
}
