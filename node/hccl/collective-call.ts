/** From the arguments of a collective call to what this rank will do: checks, sizes, placement, choice. */
import type { ElementCounts } from '../../collectives/chunks.ts';
import { BLOCKS, type CollectiveName } from '../../collectives/collective.ts';
import type { Rank } from '../../collectives/schedule.ts';
import type { CallSizes, CallSizeTable } from './call-sizes.ts';
import type { RunChoice } from './choice.ts';
import { invalidArgument } from './failure.ts';
import { HCCL_DATA_TYPES, hcclOpNone } from './hccl.ts';
import { countsDigest, IN_PLACE_SUFFIX, type OperationCall } from './operation-call.ts';
import type { Reduction } from './reduce-ops.ts';
import { refuseArguments } from './strict.ts';

/** Arguments of a collective, as they came. */
export interface CollectiveArguments {
  readonly collective: CollectiveName;
  readonly sendBuffer: number;
  readonly recvBuffer: number;
  /** Of the forms with one count. */
  readonly count?: number | undefined;
  /** Of hcclAllGatherV and hcclReduceScatterV: of each rank's block. */
  readonly counts?: readonly number[] | undefined;
  /** Of hcclAlltoAllV: from this rank to each, and from each to this one. */
  readonly sendCounts?: readonly number[] | undefined;
  readonly recvCounts?: readonly number[] | undefined;
  readonly dataType: number;
  /** Ignored by collectives that do not reduce. */
  readonly reduceOp?: number | undefined;
  /** Ignored by collectives without a root. */
  readonly root?: number | undefined;
}

/** What a call is checked against: its communicator. */
export interface CallContext {
  readonly rank: Rank;
  readonly nranks: number;
  readonly strict: boolean;
  readonly sizes: CallSizeTable;
  /** What a reduction is; throws hcclInvalidArgument if there is none of that number for the type. */
  reduction(reduceOp: number, dataType: number): Reduction;
  choose(call: ChosenCall): RunChoice;
}

/** What a choice depends on. */
export interface ChosenCall {
  readonly collective: CollectiveName;
  /** As every rank knows them: `ChoiceRequest.bytes`. */
  readonly bytes: number;
  readonly root: Rank;
  readonly placement: CheckedCall['placement'];
}

/** Element counts of a call. */
export interface CallCounts {
  readonly table: ElementCounts;
  /** Names `table`, for whoever keeps what was made for it. */
  readonly key: string;
  /** What ranks compare. */
  readonly agreed: Pick<OperationCall, 'count' | 'countsDigest' | 'pairs'>;
}

/** A checked call of one rank. */
export interface CheckedCall {
  readonly call: OperationCall;
  readonly choice: RunChoice;
  readonly counts: CallCounts;
  readonly placement: 'inPlace' | 'outOfPlace';
  readonly reduction: Reduction;
  readonly elementBytes: number;
  readonly inputBytes: number;
  readonly outputBytes: number;
}

/** Collectives whose schedule depends on the placement: all ranks must have the same. */
export const PLACEMENT_AGREED: ReadonlySet<CollectiveName> = new Set(['allToAll', 'allToAllV']);

/** Throws hcclInvalidArgument for what cannot be done, with what was expected and found. */
export function checkCall(arguments_: CollectiveArguments, context: CallContext): CheckedCall {
  const { collective, dataType } = arguments_;
  const row = BLOCKS[collective];
  const elementBytes = elementBytesOf(dataType);
  if (context.strict && collective !== 'barrier') {
    refuseArguments(dataType, row.reduces ? arguments_.reduceOp : undefined);
  }
  const root = row.rooted ? checkRoot(arguments_.root, context.nranks) : 0;
  const counts = countsOf(arguments_, context);
  const reduces = row.reduces || collective === 'barrier';
  const reduceOp = reduces ? (arguments_.reduceOp ?? hcclOpNone) : hcclOpNone;
  const reduction = reduces ? context.reduction(reduceOp, dataType) : NO_REDUCTION;
  const sizes = context.sizes.of({
    collective,
    root,
    counts: counts.table,
    countsKey: counts.key,
  });
  checkAddresses(arguments_, sizes, elementBytes);
  const placement = placementOf(arguments_, sizes, elementBytes);
  const bytes = agreedElements(arguments_, context) * elementBytes;
  const choice = context.choose({ collective, bytes, root, placement });
  const { count, countsDigest: digest, pairs } = counts.agreed;
  choice.loaded?.expectCount(count);
  return {
    call: {
      collective,
      count,
      countsDigest: digest,
      pairs,
      dataType,
      reduceOp: reduction.agreedOp,
      root,
      algorithm: agreedAlgorithm(collective, choice, placement),
      channels: choice.channels,
      chunks: choice.chunks ?? 0,
      sliceBytes: choice.sliceBytes,
    },
    choice,
    counts,
    placement,
    reduction,
    elementBytes,
    inputBytes: sizes.input * elementBytes,
    outputBytes: sizes.output * elementBytes,
  };
}

const NO_REDUCTION: Reduction = { kind: 'plain', agreedOp: hcclOpNone };

/** The algorithm as ranks compare it. */
function agreedAlgorithm(
  collective: CollectiveName,
  { algorithm }: RunChoice,
  placement: CheckedCall['placement'],
): string {
  const depends = PLACEMENT_AGREED.has(collective) && placement === 'inPlace';
  return depends ? `${algorithm}${IN_PLACE_SUFFIX}` : algorithm;
}

/** Bytes of one element. Throws hcclInvalidArgument for a number that is no data type. */
export function elementBytesOf(dataType: number): number {
  const type = HCCL_DATA_TYPES.get(dataType);
  if (type !== undefined) return type.bytes;
  const known = [...HCCL_DATA_TYPES.keys()];
  throw invalidArgument(`Expected a data type of ${known} but found ${dataType}`);
}

/** Throws hcclInvalidArgument for what is not a number of elements. */
export function checkCount(count: number | undefined): number {
  if (count !== undefined && Number.isSafeInteger(count) && count >= 0) return count;
  throw invalidArgument(`Expected a count of at least 0 elements but found ${count}`);
}

function checkRoot(root: number | undefined, nranks: number): Rank {
  if (root !== undefined && Number.isInteger(root) && root >= 0 && root < nranks) return root;
  throw invalidArgument(`Expected a root from 0 to ${nranks - 1} but found ${root}`);
}

function countsOf(arguments_: CollectiveArguments, { rank, nranks }: CallContext): CallCounts {
  const { collective, count, counts, sendCounts, recvCounts } = arguments_;
  switch (collective) {
    case 'allGatherV':
    case 'reduceScatterV': {
      const table = checkCounts(counts, nranks, 'counts');
      const agreed = { count: sum(table), countsDigest: countsDigest(table) };
      return { table, key: table.join(), agreed };
    }
    case 'allToAllV': {
      const sent = checkCounts(sendCounts, nranks, 'send counts');
      const received = checkCounts(recvCounts, nranks, 'receive counts');
      return {
        table: exchangeCounts(sent, received, rank),
        key: `${sent.join()} ${received.join()}`,
        agreed: { count: 0, countsDigest: 0, pairs: { sent, received } },
      };
    }
    default: {
      const table = checkCount(count);
      if (collective === 'allToAll' && table % nranks !== 0) {
        throw invalidArgument(
          `Expected a count that is a multiple of ${nranks} ranks but found ${table}`,
        );
      }
      return { table, key: String(table), agreed: { count: table, countsDigest: 0 } };
    }
  }
}

function checkCounts(
  counts: readonly number[] | undefined,
  nranks: number,
  what: string,
): readonly number[] {
  if (counts?.length !== nranks) {
    throw invalidArgument(`Expected ${nranks} ${what} but found ${counts?.length ?? 0}`);
  }
  for (const count of counts) checkCount(count);
  return counts;
}

/** From each rank to each, as far as `rank` knows: nothing of what others send to others. */
function exchangeCounts(
  sent: readonly number[],
  received: readonly number[],
  rank: Rank,
): readonly number[] {
  const nranks = sent.length;
  if (sent[rank] !== received[rank]) {
    throw invalidArgument(
      `Expected rank ${rank} to receive from itself the ${sent[rank]} elements that it sends but found ${received[rank]}`,
    );
  }
  const table = Array.from({ length: nranks * nranks }, () => 0);
  for (let peer = 0; peer < nranks; peer++) {
    table[peer * nranks + rank] = received[peer] as number;
    table[rank * nranks + peer] = sent[peer] as number;
  }
  return table;
}

/** Elements of the call as a whole, by what every rank knows: `ChoiceRequest.bytes`. */
function agreedElements(arguments_: CollectiveArguments, { nranks }: CallContext): number {
  const { collective, count = 0, counts = [] } = arguments_;
  switch (collective) {
    case 'allGather':
    case 'reduceScatter':
    case 'gather':
    case 'scatter':
      return count * nranks;
    case 'allGatherV':
    case 'reduceScatterV':
      return sum(counts);
    case 'allToAllV':
    case 'barrier':
      return 0;
    default:
      return count;
  }
}

/** Kernels take whole elements: an address between two would fail on the device, in mid-operation. */
function checkAddresses(
  { sendBuffer, recvBuffer }: CollectiveArguments,
  { input, output }: CallSizes,
  elementBytes: number,
): void {
  if (input > 0) checkAddress(sendBuffer, elementBytes);
  if (output > 0) checkAddress(recvBuffer, elementBytes);
}

/** Throws hcclInvalidArgument for a device address that no element can have. */
export function checkAddress(address: number, elementBytes: number): void {
  if (Number.isSafeInteger(address) && address >= 0 && address % elementBytes === 0) return;
  throw invalidArgument(
    `Expected device addresses that are multiples of ${elementBytes} but found ${address}`,
  );
}

/** The one place that in place means, or apart; anything between is refused. */
function placementOf(
  { collective, sendBuffer, recvBuffer, sendCounts, recvCounts }: CollectiveArguments,
  { input, output, inPlace }: CallSizes,
  elementBytes: number,
): CheckedCall['placement'] {
  if (inPlace === undefined) return 'outOfPlace';
  // Addresses of nothing mean nothing: where all must have it alike, all must come to the same.
  if (PLACEMENT_AGREED.has(collective) && input === 0 && output === 0) return 'outOfPlace';
  const shift = inPlace.offset * elementBytes;
  const [part, whole] =
    inPlace.part === 'input' ? [sendBuffer, recvBuffer] : [recvBuffer, sendBuffer];
  if (part === whole + shift) {
    if (collective === 'allToAllV') checkSameCounts(sendCounts, recvCounts);
    return 'inPlace';
  }
  const [inputBytes, outputBytes] = [input * elementBytes, output * elementBytes];
  const apart = sendBuffer + inputBytes <= recvBuffer || recvBuffer + outputBytes <= sendBuffer;
  if (apart || input === 0 || output === 0) return 'outOfPlace';
  throw invalidArgument(
    `Expected the buffers to be apart, or to be those of a call in place (${inPlace.part} ${shift} bytes behind the other buffer), but found that they overlap in part`,
  );
}

function checkSameCounts(
  sent: readonly number[] | undefined,
  received: readonly number[] | undefined,
): void {
  if (sent?.join() === received?.join()) return;
  throw invalidArgument(
    `Expected the same counts to be sent and received in place but found ${sent} and ${received}`,
  );
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
