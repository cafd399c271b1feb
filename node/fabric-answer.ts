/** The two ends of a user program's fabric calls: what it names objects by, and how it is answered. */
import type { Fid, FiErrno } from './fabric/fabric.ts';
import { fromSystemCallValue, toSystemCallValue } from './fabric-values.ts';
import type { SystemCallChannel } from './process/system-call.ts';

/** libfabric refused a call. */
export class FabricError extends Error {
  override readonly name = 'FabricError';
  readonly code: FiErrno;

  constructor(code: FiErrno, call: string) {
    super(`${code}: ${call}`);
    this.code = code;
  }
}

/** An object of the library: its number in this process, and what it is. */
export interface FabricObject<Class extends Fid['fclass']> {
  readonly fid: number;
  readonly fclass: Class;
}
export type FabricFabric = FabricObject<'FI_CLASS_FABRIC'>;
export type FabricDomain = FabricObject<'FI_CLASS_DOMAIN'>;
export type FabricAv = FabricObject<'FI_CLASS_AV'>;
export type FabricCq = FabricObject<'FI_CLASS_CQ'>;
export type FabricCntr = FabricObject<'FI_CLASS_CNTR'>;
export type FabricEq = FabricObject<'FI_CLASS_EQ'>;
export type FabricEndpoint = FabricObject<'FI_CLASS_EP'>;

export interface FabricMr extends FabricObject<'FI_CLASS_MR'> {
  /** What a peer needs to reach it, with its first address. */
  readonly key: bigint;
  readonly address: number;
  readonly length: number;
}

/** Bytes of this process's memory, as `hostMemoryAlloc` gives them. */
export interface FabricRange {
  readonly address: number;
  readonly length: number;
}

/** Bytes of a registered region, by its addresses. */
export interface FabricMrBuffer extends FabricRange {
  readonly kind: 'mr';
  readonly mr: FabricMr;
}

export type FabricBuffer = FabricMrBuffer | (FabricRange & { readonly kind?: 'host' });

/** For the fabric library only: a buffer as it travels, its region by number. */
export function numbered(buffer: FabricBuffer) {
  const { address, length } = buffer;
  if (buffer.kind === 'mr') return { kind: 'mr', mr: buffer.mr.fid, address, length };
  return { kind: 'host', address, length };
}

/** For the fabric library only: what the host answers, or `FabricError`. */
export async function demand<T>(
  channel: SystemCallChannel,
  name: string,
  argument: object,
): Promise<T> {
  const answer = await call<T>(channel, name, argument);
  if ('error' in answer) throw new FabricError(answer.error, name);
  return answer.value;
}

/** For the fabric library only: what the host answers; the error is an answer, too. */
export async function attempt<T>(
  channel: SystemCallChannel,
  name: string,
  argument: object,
): Promise<T | FiErrno> {
  const answer = await call<T>(channel, name, argument);
  return 'error' in answer ? answer.error : answer.value;
}

type Answer<T> = { readonly value: T } | { readonly error: FiErrno };

async function call<T>(
  channel: SystemCallChannel,
  name: string,
  argument: object,
): Promise<Answer<T>> {
  const answer = await channel.call(name, toSystemCallValue(argument));
  return fromSystemCallValue(answer) as Answer<T>;
}
