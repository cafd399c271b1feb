/** Whether everything that a file refers to is there: peers, thread blocks, steps. */
import type {
  MscclDocument,
  MscclGpu,
  MscclStep,
  MscclStepType,
  MscclThreadBlock,
} from './document.ts';
import type { ReadDocument } from './read-document.ts';
import { unreadable } from './unreadable.ts';

const SENDS: ReadonlySet<MscclStepType> = new Set(['s', 'rcs', 'rrs', 'rrcs']);
const RECEIVES: ReadonlySet<MscclStepType> = new Set(['r', 'rcs', 'rrs', 'rrc', 'rrcs']);

/** @throws HlsimError `HLSIM_PROGRAM_UNREADABLE` for the first thing that is not there */
export function checkReferences({ document, lineOf }: ReadDocument): void {
  for (const [rank, gpu] of document.gpus.entries()) {
    for (const [id, threadBlock] of gpu.threadBlocks.entries()) {
      const line = lineOf(threadBlock);
      checkPeers(document, rank, threadBlock, line);
      checkChannel(threadBlock, line);
      for (const [index, step] of threadBlock.steps.entries()) {
        checkEnds(threadBlock, step, lineOf(step));
        checkDependency(gpu, step, `${index} of tb ${id}`, lineOf(step));
      }
    }
  }
}

function checkPeers(
  { gpus }: MscclDocument,
  rank: number,
  { send, recv }: MscclThreadBlock,
  line: number,
): void {
  for (const [name, peer] of Object.entries({ send, recv })) {
    if (peer === rank) {
      throw unreadable(
        line,
        `Expected ${name} of <tb> to be another gpu but found ${peer}, its own`,
      );
    }
    if (peer >= gpus.length) {
      const last = gpus.length - 1;
      throw unreadable(line, `Expected ${name} of <tb> to be from -1 to ${last} but found ${peer}`);
    }
  }
}

/** That two thread blocks have one end of a connection is no wrong reference: `verify` finds it. */
function checkChannel({ send, recv, chan, steps }: MscclThreadBlock, line: number): void {
  const ends: [string, number, ReadonlySet<MscclStepType>][] = [
    ['sends to', send, SENDS],
    ['receives from', recv, RECEIVES],
  ];
  for (const [verb, peer, types] of ends) {
    if (chan >= 0 || peer < 0 || !steps.some(({ type }) => types.has(type))) continue;
    throw unreadable(
      line,
      `Expected chan of a <tb> that ${verb} gpu ${peer} to be at least 0 but found ${chan}`,
    );
  }
}

function checkEnds({ send, recv }: MscclThreadBlock, { type }: MscclStep, line: number): void {
  if (SENDS.has(type) && send < 0) {
    throw unreadable(line, `Expected a tb with a send peer for a step ${type} but found -1`);
  }
  if (RECEIVES.has(type) && recv < 0) {
    throw unreadable(line, `Expected a tb with a recv peer for a step ${type} but found -1`);
  }
}

function checkDependency(gpu: MscclGpu, step: MscclStep, where: string, line: number): void {
  const { depid = -1, deps = -1 } = step;
  if (depid < 0) return;
  const found = gpu.threadBlocks[depid];
  if (found === undefined) {
    const last = gpu.threadBlocks.length - 1;
    throw unreadable(
      line,
      `Expected depid of step ${where} to be from -1 to ${last} but found ${depid}`,
    );
  }
  if (deps >= 0 && deps < found.steps.length) return;
  throw unreadable(
    line,
    `Expected deps of step ${where} to be a step of tb ${depid}, which has ${found.steps.length}, but found ${deps}`,
  );
}
