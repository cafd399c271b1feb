/** The system calls behind collectives that the program's thread runs: see `program-channel.ts`, which makes them. */
import { z } from 'zod';
import type { CollectiveName } from '../../../collectives/collective.ts';
import { defined } from '../../../common/assert.ts';
import {
  averageKernel,
  averageScalars,
  reduceKernel,
} from '../../device/kernels/element-kernels.ts';
import type { SimProcess } from '../../process/sim-process.ts';
import type { SystemCallValue } from '../../process/system-call.ts';
import { type CallHost, communicatorOf, findCommunicator, parse } from '../call-host.ts';
import type { CheckedCall } from '../collective-call.ts';
import type { DataPath } from '../control-message.ts';
import { hcclError, resultOf } from '../failure.ts';
import { HCCL_DATA_TYPES, reductionOf } from '../hccl.ts';
import type { OpenCommunicator } from '../open-communicator.ts';
import { describeCall } from '../operation.ts';
import { apiName } from '../operation-call.ts';
import { isPullable, type PullChoice, planOf, sharedAlgorithm } from '../shared/shared-offer.ts';
import type { SharedBuffer } from '../shared/shared-operation.ts';
import { wireAlgorithm } from '../wire/wire-choice.ts';
import { bytesOf } from './own-page.ts';
import { PROGRAM_COLLECTIVES, type ProgramOffer } from './program-collectives.ts';

const argument = z.object({
  collective: z.enum(Object.values(PROGRAM_COLLECTIVES)),
  sendBuffer: z.number(),
  recvBuffer: z.number(),
  count: z.number(),
  dataType: z.int(),
  reduceOp: z.int().optional(),
  root: z.int().optional(),
  comm: z.int(),
});
const faultArgument = z.object({
  comm: z.int(),
  text: z.string().max(2048),
  sequence: z.int(),
  kind: z.enum(['departed', 'mismatch', 'window', 'frame', 'lost', 'stuck', 'closed']),
  peer: z.int(),
  found: z.string().max(4096),
});

export function registerProgramCalls(host: CallHost): void {
  host.register('hcclProgramPlaces', (caller, value) => {
    const open = communicatorOf(host.state(caller), value);
    const { program, asyncError } = open.communicator;
    const { places } = program;
    if (asyncError.result === 'hcclTryAgain') return 'connecting';
    if (places === undefined) return null;
    return { ...places, rank: open.rank, nranks: open.nranks };
  });
  host.register('hcclProgramPrepare', (caller, value) => prepare(host, caller, value));
  host.register('hcclProgramIdle', async (caller, value) => {
    await communicatorOf(host.state(caller), value).idle();
  });
  host.register('hcclProgramFault', (caller, value) => fault(host, caller, value));
}

async function prepare(
  host: CallHost,
  caller: SimProcess,
  value: SystemCallValue,
): Promise<ProgramOffer | null> {
  const { comm, ...arguments_ } = parse(argument, value);
  const open = findCommunicator(host.state(caller), comm);
  open.expectReady(apiName(arguments_.collective));
  const { path } = open.communicator.program;
  if (path === 'link') return null;
  const checked = open.check(arguments_);
  const found = choiceOf(open, checked, path);
  if (found === undefined) return null;
  const { mode, choice } = found;
  const { call, inputBytes, outputBytes, elementBytes, reduction } = checked;
  const type = defined(HCCL_DATA_TYPES.get(call.dataType), 'the data type');
  const plan = mode === 'pull' && path === 'p2p' ? planOf(choice, open.rank) : undefined;
  const served = plan?.served ?? { input: 0, output: 0 };
  const buffers = await offeredOrDeclined(open, path, [
    { address: arguments_.sendBuffer, bytes: inputBytes, isServed: served.input > 0 },
    { address: arguments_.recvBuffer, bytes: outputBytes, isServed: served.output > 0 },
  ]);
  const [input = NO_BUFFER, output = NO_BUFFER] = buffers ?? [];
  const reduces = reduction.agreedOp < 5 && isReducing(choice.collective);
  const isAverage = reduction.kind === 'average';
  return {
    mode: buffers === undefined ? 'declined' : mode,
    text: `${apiName(call.collective)} (${describeCall({ ...call, algorithm: choice.algorithm })})`,
    ...choice,
    elementBytes,
    inputBytes,
    outputBytes,
    input,
    output,
    reduceKernel: reduces ? reduceKernel(reductionOf(call.reduceOp), type.name) : '',
    averageKernel: isAverage ? averageKernel(type.name) : '',
    averageScalars: isAverage ? averageScalars(type.name, open.nranks) : [],
  };
}

function isReducing(collective: CollectiveName): boolean {
  return collective === 'allReduce' || collective === 'reduceScatter' || collective === 'reduce';
}

/** How the program's thread runs the call; `undefined`: it does not. Equal on all ranks. */
function choiceOf(
  open: OpenCommunicator,
  { call, choice, reduction, elementBytes }: CheckedCall,
  path: DataPath,
): { readonly mode: 'small' | 'pull'; readonly choice: PullChoice } | undefined {
  const { collective, root, count } = call;
  if (choice.loaded !== undefined || reduction.kind === 'preMulSum') return undefined;
  const operandBytes = count * elementBytes * (collective === 'reduceScatter' ? open.nranks : 1);
  const tuned = { mode: 'pull', algorithm: choice.algorithm } as const;
  const usual =
    path === 'p2p'
      ? sharedAlgorithm(collective, operandBytes)
      : wireAlgorithm(collective, operandBytes, open.nranks);
  const found = open.isChosen(collective) ? tuned : usual;
  if (found === undefined || choice.channels > 1) return undefined;
  const { mode, algorithm } = found;
  const pulled = { collective, algorithm, root, count, elementBytes, topology: open.topology };
  if (mode === 'pull' && !isPullable(pulled)) return undefined;
  return { mode, choice: pulled };
}

interface CallBuffer {
  readonly address: number;
  readonly bytes: number;
  /** Peers read it. */
  readonly isServed: boolean;
}

const NO_BUFFER: SharedBuffer = { offset: 0, window: 0, windowOffset: 0 };

/** `undefined`: a peer cannot map one, and the job does not insist that it can. */
async function offeredOrDeclined(
  open: OpenCommunicator,
  path: DataPath,
  buffers: readonly CallBuffer[],
): Promise<readonly SharedBuffer[] | undefined> {
  try {
    const offers: SharedBuffer[] = [];
    for (const buffer of buffers) offers.push(await offered(open, buffer));
    return offers;
  } catch (reason) {
    const mayDecline = path === 'p2p' && open.init.settings.provider === 'auto';
    if (mayDecline && resultOf(reason) === 'hcclOutOfMemory') return undefined;
    throw reason;
  }
}

async function offered(
  { session, communicator }: OpenCommunicator,
  { address, bytes, isServed }: CallBuffer,
): Promise<SharedBuffer> {
  if (bytes === 0) return NO_BUFFER;
  const mr = await session.use(address, bytes);
  try {
    const windowOffset = address - mr.address;
    const window = await communicator.program.window(mr, isServed ? 'served' : 'own');
    return { offset: bytesOf(mr).byteOffset + windowOffset, window, windowOffset };
  } finally {
    session.unuse(mr);
  }
}

/** Ends the communicator for what the program's thread has found; throws what it ends with. */
async function fault(host: CallHost, caller: SimProcess, value: SystemCallValue): Promise<never> {
  const { comm, text, sequence, kind, peer, found } = parse(faultArgument, value);
  const { communicator, rank } = findCommunicator(host.state(caller), comm);
  const name = text.replace(' (', ` operation ${sequence} (`);
  const messages = {
    departed: `Rank ${peer} left the communicator but rank ${rank} called ${name}`,
    mismatch: `Expected every rank to make the same call as operation ${sequence} of their threads but rank ${peer} called ${found} where rank ${rank} called ${text}`,
    window: `Expected rank ${peer} to offer the memory of ${name} but found ${found}`,
    frame: `Expected rank ${peer} to send what belongs to ${name} but found ${found}`,
    lost: `Expected the wires between rank ${rank} and rank ${peer} to last but they broke during ${name}`,
    stuck: `Expected ${name} to end in time but rank ${peer} did not come so far`,
    closed: `${name} was given up`,
  };
  const isUsage = kind === 'departed' || kind === 'mismatch';
  if (kind !== 'closed') {
    const broken = kind === 'lost' ? 'hcclPortDown' : 'hcclInternalError';
    const result = isUsage ? 'hcclInvalidUsage' : broken;
    communicator.giveUp({ result, message: messages[kind] });
  }
  const { result, message } = await communicator.broken;
  const isNamed = message.includes(' operation ');
  throw hcclError({
    result,
    message: isNamed ? message : `${message} during ${name} on rank ${rank}`,
  });
}
