/** Flags of operations (fi_endpoint(3), fi_msg(3), fi_tagged(3), fi_rma(3)) and which call takes which. */

export const FI_FLAGS = [
  /** Asks for an entry in a queue that was bound with FI_SELECTIVE_COMPLETION. */
  'FI_COMPLETION',
  /** The buffer is the caller's again at return. */
  'FI_INJECT',
  /** `data` of the message is meant. */
  'FI_REMOTE_CQ_DATA',
  /** Starts only after everything before it, to the same peer, has completed. */
  'FI_FENCE',
  /** More follow: a hint, of no effect. */
  'FI_MORE',
  /** When the operation counts as complete: see `CompletionLevel`. */
  'FI_INJECT_COMPLETE',
  'FI_TRANSMIT_COMPLETE',
  'FI_DELIVERY_COMPLETE',
  'FI_MATCH_COMPLETE',
  'FI_COMMIT_COMPLETE',
  /** Looks for a message without taking it; takes it for later; drops it. */
  'FI_PEEK',
  'FI_CLAIM',
  'FI_DISCARD',
  'FI_MULTI_RECV',
  'FI_TRIGGER',
] as const;
export type FiFlag = (typeof FI_FLAGS)[number];

/**
 * `inject`: the buffer may be reused. `transmit`: the peer's endpoint has it. `delivery`: it is in the
 * buffer of the peer's receive, or in the peer's region.
 */
export type CompletionLevel = 'inject' | 'transmit' | 'delivery';

/** Of completion levels the highest wins. FI_MATCH_COMPLETE is reached with the delivery. */
const LEVELS: readonly (readonly [FiFlag, CompletionLevel])[] = [
  ['FI_MATCH_COMPLETE', 'delivery'],
  ['FI_DELIVERY_COMPLETE', 'delivery'],
  ['FI_TRANSMIT_COMPLETE', 'transmit'],
  ['FI_INJECT_COMPLETE', 'inject'],
];

const TRANSMIT_FLAGS: readonly FiFlag[] = [
  'FI_COMPLETION',
  'FI_INJECT',
  'FI_REMOTE_CQ_DATA',
  'FI_FENCE',
  'FI_MORE',
  'FI_INJECT_COMPLETE',
  'FI_TRANSMIT_COMPLETE',
  'FI_DELIVERY_COMPLETE',
  'FI_MATCH_COMPLETE',
];

/** What each family of calls takes; another flag is FI_EBADFLAGS. */
export const FLAGS_TAKEN = {
  send: TRANSMIT_FLAGS,
  write: TRANSMIT_FLAGS,
  read: ['FI_COMPLETION', 'FI_FENCE', 'FI_MORE', 'FI_TRANSMIT_COMPLETE', 'FI_DELIVERY_COMPLETE'],
  atomic: ['FI_COMPLETION', 'FI_FENCE', 'FI_MORE', 'FI_TRANSMIT_COMPLETE', 'FI_DELIVERY_COMPLETE'],
  recv: ['FI_COMPLETION', 'FI_MORE'],
  trecv: ['FI_COMPLETION', 'FI_MORE', 'FI_PEEK', 'FI_CLAIM', 'FI_DISCARD'],
} as const satisfies Record<string, readonly FiFlag[]>;

/** Flags that libfabric has and hlsim does not: FI_EOPNOTSUPP. */
export const FLAGS_NOT_SUPPORTED: readonly FiFlag[] = [
  'FI_COMMIT_COMPLETE',
  'FI_MULTI_RECV',
  'FI_TRIGGER',
];

/** Why a call may not have these flags, if so. */
export function flagsRefusal(
  family: keyof typeof FLAGS_TAKEN,
  flags: readonly FiFlag[],
): 'FI_EBADFLAGS' | 'FI_EOPNOTSUPP' | undefined {
  const taken: readonly FiFlag[] = FLAGS_TAKEN[family];
  if (flags.some((flag) => FLAGS_NOT_SUPPORTED.includes(flag))) return 'FI_EOPNOTSUPP';
  return flags.every((flag) => taken.includes(flag)) ? undefined : 'FI_EBADFLAGS';
}

/** When an operation with these flags is complete. */
export function completionLevel(flags: readonly FiFlag[]): CompletionLevel {
  return LEVELS.find(([flag]) => flags.includes(flag))?.[1] ?? 'transmit';
}
