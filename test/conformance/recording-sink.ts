/** A `FrameSink` that is a memory of its own and writes down what happens to it. */
import { delay, type Scheduler } from '../../common/scheduler.ts';
import type { FrameHeader } from '../../node/transport/frame.ts';
import type { FrameSink } from '../../node/transport/transport.ts';

/** How often a condition is looked at; the answer never depends on it. */
const POLL_MS = 2;

export class RecordingSink implements FrameSink {
  /** `linkUp b`, `linkLost b: reason` ... in order. */
  readonly events: string[] = [];
  readonly landedHeaders: FrameHeader[] = [];
  /** Shared, as a device's memory is. */
  readonly memory = new Uint8Array(new SharedArrayBuffer(1 << 20));
  /** Whether each `place` found the frame's target bytes still zero. */
  readonly wasUntouched: boolean[] = [];
  /** Pieces that a payload is placed in. */
  pieces = 1;
  /** Frames to drop. */
  refuses: (header: FrameHeader) => boolean = () => false;

  place(_nodeId: string, header: FrameHeader): readonly Uint8Array[] | null {
    if (this.refuses(header)) return null;
    const start = header.remoteAddress;
    const target = this.memory.subarray(start, start + header.payloadLength);
    this.wasUntouched.push(target.every((byte) => byte === 0));
    const step = Math.ceil(target.byteLength / this.pieces);
    return Array.from({ length: this.pieces }, (_, piece) =>
      target.subarray(piece * step, (piece + 1) * step),
    );
  }

  landed(_nodeId: string, header: FrameHeader): void {
    this.landedHeaders.push(header);
  }

  linkUp(nodeId: string): void {
    this.events.push(`linkUp ${nodeId}`);
  }

  linkDown(nodeId: string): void {
    this.events.push(`linkDown ${nodeId}`);
  }

  linkLost(nodeId: string, reason: string): void {
    this.events.push(`linkLost ${nodeId}: ${reason}`);
  }

  writable(nodeId: string): void {
    this.events.push(`writable ${nodeId}`);
  }

  protocolError(nodeId: string | undefined, reason: string): void {
    this.events.push(`protocolError ${nodeId}: ${reason}`);
  }

  /** How many events start with `prefix`. */
  count(prefix: string): number {
    return this.events.filter((event) => event.startsWith(prefix)).length;
  }

  /** The psn of every landed frame, in order. */
  get psns(): number[] {
    return this.landedHeaders.map((header) => header.psn);
  }
}

/** Resolves once `condition` holds; the caller sets the deadline. */
export async function until(scheduler: Scheduler, condition: () => boolean): Promise<void> {
  while (!condition()) await delay(scheduler, POLL_MS);
}

/** A valid frame header; a WRITE of one whole message unless `fields` say otherwise. */
export function frame(fields: Partial<FrameHeader> = {}): FrameHeader {
  const payloadLength = fields.payloadLength ?? 0;
  const messageOffset = fields.messageOffset ?? 0;
  const messageLength = fields.messageLength ?? messageOffset + payloadLength;
  return {
    type: 'WRITE',
    first: messageOffset === 0,
    last: messageOffset + payloadLength === messageLength,
    ackLater: false,
    destQpn: 0x11,
    sourceQpn: 0x22,
    qpEpoch: 1,
    psn: 0,
    remoteAddress: 0,
    rkey: 0x1234_5678,
    messageLength,
    messageOffset,
    payloadLength,
    immediate: 0,
    syndrome: 'NONE',
    credits: 0,
    ...fields,
  };
}

/** `length` bytes of shared memory with a pattern that `seed` moves. */
export function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(new SharedArrayBuffer(length));
  for (let index = 0; index < length; index++) bytes[index] = (index * 7 + seed * 13 + 1) & 0xff;
  return bytes;
}
