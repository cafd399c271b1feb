/** What the calls that send messages have in common. */
import type { Completing } from './completion-port.ts';
import type { FiAddr, FiBuffer, FiErrno } from './fabric.ts';
import { completionLevel, type FiFlag, flagsRefusal } from './flags.ts';
import { EAGER_BYTES } from './message-header.ts';
import type { FiEndpoint } from './rdm-endpoint.ts';

/** Longest fi_inject: what is copied anyway. */
export const INJECT_BYTES = EAGER_BYTES;

const NO_FLAGS: readonly FiFlag[] = [];

export interface Label {
  readonly tagged: boolean;
  readonly tag: bigint;
}

interface Sendable {
  readonly buffer: FiBuffer;
  readonly dest: FiAddr;
  readonly context?: unknown;
  readonly data?: number;
}

/** Sends a message. FI_EMSGSIZE: longer than `max_msg_size`, or with FI_INJECT than `inject_size`. */
export function sendWith(
  endpoint: FiEndpoint,
  { tagged, tag }: Label,
  { buffer, dest, context, data }: Sendable,
  flags: readonly FiFlag[],
): FiErrno | undefined {
  if (flags.length > 0) {
    const refusal = flagsRefusal('send', flags) ?? injectRefusal(buffer, flags);
    if (refusal !== undefined) return refusal;
  }
  const isReported = endpoint.isReported('transmit', flags);
  const hasData = flags.includes('FI_REMOTE_CQ_DATA');
  return endpoint.sendMessage(
    {
      tagged,
      tag: BigInt.asUintN(64, tag),
      data: hasData ? (data ?? 0) >>> 0 : undefined,
      buffer,
      level: completionLevel(flags),
      isInjected: false,
      ended: (outcome) =>
        endpoint.complete(sendCompleting(tagged, context, dest, isReported), outcome),
    },
    { dest, flags },
  );
}

/** Sends host memory without an entry unless it fails. FI_EMSGSIZE: longer than `inject_size`. */
export function inject(
  endpoint: FiEndpoint,
  { tagged, tag }: Label,
  bytes: Uint8Array,
  dest: FiAddr,
  data: number | undefined,
): FiErrno | undefined {
  if (bytes.byteLength > INJECT_BYTES) return 'FI_EMSGSIZE';
  return endpoint.sendMessage(
    {
      tagged,
      tag: BigInt.asUintN(64, tag),
      data: data === undefined ? undefined : data >>> 0,
      buffer: { kind: 'host', bytes },
      level: 'transmit',
      isInjected: true,
      ended: (outcome) =>
        endpoint.complete(sendCompleting(tagged, undefined, dest, false), outcome),
    },
    { dest, flags: NO_FLAGS },
  );
}

/** What a message is to its sender, for its completion. */
function sendCompleting(
  isTagged: boolean,
  context: unknown,
  peer: FiAddr,
  isReported: boolean,
): Completing {
  return {
    kind: 'send',
    isTagged,
    context,
    peer,
    isReported,
    length: 0,
    tag: 0n,
    data: undefined,
    olen: 0,
  };
}

/** FI_INJECT copies at once: only host memory, and only so much of it. */
function injectRefusal(buffer: FiBuffer, flags: readonly FiFlag[]): FiErrno | undefined {
  if (!flags.includes('FI_INJECT')) return undefined;
  if (buffer.kind !== 'host') return 'FI_EINVAL';
  return buffer.bytes.byteLength > INJECT_BYTES ? 'FI_EMSGSIZE' : undefined;
}
