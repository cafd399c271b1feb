/** The life of communicators, and what can be asked of them. */
import { z } from 'zod';
import type { SimProcess } from '../process/sim-process.ts';
import type { SystemCallValue } from '../process/system-call.ts';
import {
  type CallHost,
  communicatorOf,
  expectNoGroup,
  findCommunicator,
  parse,
} from './call-host.ts';
import { hcclError, invalidArgument } from './failure.ts';
import { HCCL_RANKS_MAX, HCCL_SPLIT_NOCOLOR, HCCL_VERSION_CODE, type HcclComm } from './hccl.ts';
import { CHUNKS_MAX, LANES_MAX } from './lanes.ts';
import { COMMUNICATORS_MAX, type CommunicatorRequest, type HcclProcess } from './process-state.ts';
import { expectAlgorithm } from './settings.ts';
import { splitPart } from './split.ts';

const commArgument = z.object({ comm: z.int() });
const initArgument = z.object({
  fd: z.int(),
  nranks: z.int().min(1).max(HCCL_RANKS_MAX),
  uniqueId: z.string().min(1).max(128),
  rank: z.int().nonnegative(),
  blocking: z.boolean().default(true),
});
const splitArgument = z.object({
  comm: z.int(),
  color: z.int().min(HCCL_SPLIT_NOCOLOR),
  key: z.int(),
});
const positive = z.int().positive();
const choiceArgument = z.object({
  comm: z.int(),
  choice: z
    .strictObject({
      algorithm: z.string().min(1).max(128).optional(),
      channels: positive.max(LANES_MAX).optional(),
      chunks: positive.max(CHUNKS_MAX).optional(),
      sliceBytes: positive.optional(),
    })
    .nullable(),
});
const loadArgument = z.object({ comm: z.int(), text: z.string() });
const lookupArgument = z.object({ address: z.number(), bytes: z.number() });
const deviceArgument = z.object({ fd: z.int() });

export function registerCommunicatorCalls(host: CallHost): void {
  host.register('hcclGetUniqueId', () => host.uniqueId());
  host.register('hcclCommInitRank', (caller, argument) => commInitRank(host, caller, argument));
  host.register('hcclCommInitAll', () => {
    const message = 'Expected hcclCommInitRank: hcclCommInitAll is not implemented, as in HCCL';
    throw hcclError({ result: 'hcclInvalidUsage', message });
  });
  host.register('hcclCommSplit', (caller, argument) => commSplit(host, caller, argument));
  registerEnds(host);
  registerQuestions(host);
  registerChoices(host);
  registerLibraryQuestions(host);
}

function registerEnds(host: CallHost): void {
  host.register('hcclCommFinalize', async (caller, argument) => {
    const state = host.state(caller);
    const open = communicatorOf(state, argument);
    expectNoGroup(open, 'hcclCommFinalize');
    open.expectReady();
    await state.finalizeCommunicator(open);
  });
  host.register('hcclCommDestroy', async (caller, argument) => {
    const state = host.state(caller);
    const open = communicatorOf(state, argument);
    expectNoGroup(open, 'hcclCommDestroy');
    await open.idle();
    await state.closeCommunicator(parse(commArgument, argument).comm);
  });
  host.register('hcclCommAbort', async (caller, argument) => {
    const state = host.state(caller);
    const { communicator } = communicatorOf(state, argument);
    const message = 'The communicator was aborted';
    communicator.abort({ result: 'hcclInvalidUsage', message }, 'told');
    // Calls that still wait on a stream fail when their turn comes; it may come late.
    await state.closeCommunicator(parse(commArgument, argument).comm);
  });
}

function registerQuestions(host: CallHost): void {
  const opened = (caller: SimProcess, argument: SystemCallValue) =>
    communicatorOf(host.state(caller), argument);
  host.register('hcclCommCount', (caller, argument) => opened(caller, argument).nranks);
  host.register('hcclCommUserRank', (caller, argument) => opened(caller, argument).rank);
  host.register('hcclCommSynDevice', (caller, argument) => opened(caller, argument).session.fd);
  host.register('hcclCommGetAsyncError', (caller, argument) => {
    const { finalError, communicator } = opened(caller, argument);
    return { ...(finalError ?? communicator.asyncError) };
  });
  host.register('hcclCommGetLinks', (caller, argument) => [
    ...opened(caller, argument).communicator.links(),
  ]);
  host.register('hcclCommGetCounters', (caller, argument) => ({
    ...opened(caller, argument).communicator.counters(),
  }));
}

function registerChoices(host: CallHost): void {
  host.register('hcclCommSetChoice', (caller, argument) => {
    const { comm, choice } = parse(choiceArgument, argument);
    const open = findCommunicator(host.state(caller), comm);
    if (choice?.algorithm !== undefined) expectAlgorithm(choice.algorithm);
    open.ownChoice = choice ?? undefined;
  });
  host.register('hcclCommLoadSchedule', (caller, argument) => {
    const { comm, text } = parse(loadArgument, argument);
    const open = findCommunicator(host.state(caller), comm);
    open.expectReady();
    return { ...open.load(text) };
  });
  host.register('hcclCommUnloadSchedule', (caller, argument) => {
    communicatorOf(host.state(caller), argument).unload();
  });
  host.register('hcclCommLastChoice', (caller, argument) => {
    const { lastChoice } = communicatorOf(host.state(caller), argument);
    return lastChoice === null ? null : { ...lastChoice };
  });
}

function registerLibraryQuestions(host: CallHost): void {
  host.register('hcclGetVersion', () => HCCL_VERSION_CODE);
  host.register('hcclGetLastErrorMessage', (caller) => host.state(caller).lastError);
  host.register('hcclDeviceInit', async (caller, argument) => {
    await host.state(caller).verifyDevice(parse(deviceArgument, argument).fd);
  });
  host.register('hcclLookupDMABuff', (caller, argument) => {
    const { address, bytes } = parse(lookupArgument, argument);
    return host.state(caller).exportMemory(address, bytes);
  });
}

async function commInitRank(
  host: CallHost,
  caller: SimProcess,
  argument: SystemCallValue,
): Promise<HcclComm> {
  const { fd, nranks, uniqueId, rank, blocking } = parse(initArgument, argument);
  if (rank >= nranks) throw invalidArgument(`Expected a rank below ${nranks} but found ${rank}`);
  const { jobId } = host.jobRank(caller);
  const key = { jobId, uniqueId, epoch: 1 };
  return await join(host.state(caller), { fd, key, nranks, rank, blocking });
}

async function join(state: HcclProcess, request: CommunicatorRequest): Promise<HcclComm> {
  if (state.communicatorCount >= COMMUNICATORS_MAX) {
    const message = `Expected at most ${COMMUNICATORS_MAX} communicators: destroy one first`;
    throw hcclError({ result: 'hcclInvalidUsage', message });
  }
  return await state.openCommunicator(request);
}

async function commSplit(
  host: CallHost,
  caller: SimProcess,
  argument: SystemCallValue,
): Promise<HcclComm | null> {
  const { comm, color, key } = parse(splitArgument, argument);
  const state = host.state(caller);
  const open = findCommunicator(state, comm);
  open.expectReady();
  const { rank, nranks, communicator, session } = open;
  const number = ++open.splits;
  const parent = communicator.init.key;
  const { scheduler } = state.init;
  const services = { job: host.jobRank(caller), store: host.services, scheduler };
  const part = await Promise.race([
    splitPart({ parent, rank, nranks, number, color, key }, services),
    communicator.broken.then((failure) => Promise.reject(hcclError(failure))),
  ]);
  if (part === null) return null;
  return await join(state, { fd: session.fd, ...part, blocking: true });
}
