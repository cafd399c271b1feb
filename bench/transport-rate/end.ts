/**
 * One end of a pair of processes that send each other 64 MiB, whatever it goes over. Both processes have the
 * same end.
 */
import type { Scheduler } from '../../common/scheduler.ts';
import type { LinkKind } from '../../node/transport/transport.ts';

export type SocketKind = Extract<LinkKind, 'tcp' | 'unix'>;

/** What the other process must know; plain data. */
export type Introduction = Readonly<Record<string, string | number>>;

export interface End {
  readonly introduction: Introduction;
  /** Resolves when data can go both ways. */
  meet(other: Introduction): Promise<void>;
  /** Sends `RUN_BYTES`; resolves when the other end says that it has them. */
  send(): Promise<void>;
  close(): Promise<void>;
}

export interface EndInit {
  readonly kind: SocketKind;
  readonly scheduler: Scheduler;
  readonly runBytes: number;
  /** Differs between the two processes. */
  readonly name: string;
}

/** Shared, as a device's memory is, and with bytes in every page. */
export function filledMemory(bytes: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(bytes)).fill(1);
}
