/** Whether each program is one at all, looked at alone: what later checks take for granted. */
import { type CollectiveShape, chunksIn, logicalChunks } from '../collective.ts';
import type { StepAddress } from '../interpret.ts';
import { memoryMap } from '../memory.ts';
import type { Program } from '../program.ts';
import type { Findings } from './finding.ts';
import { checkStep } from './step-form.ts';

/** Chunks of all buffers of all ranks: each takes some tens of bytes while programs are checked. */
export const CHUNKS_MAX = 2 ** 24;

export interface WellFormedOptions {
  readonly inPlace: boolean;
  /** All chunks have the same size, so any two places may exchange data. */
  readonly equalChunks: boolean;
}

export function checkWellFormed(
  programs: readonly Program[],
  { inPlace, equalChunks }: WellFormedOptions,
  findings: Findings,
): void {
  if (programs.length === 0) findings.add('malformed', {}, 'there is no program');
  let total = 0;
  for (const [rank, program] of programs.entries()) {
    const complaint =
      complaintAboutPlace(programs, program, rank) ??
      complaintAboutShape(program) ??
      complaintAboutChannels(program);
    if (complaint !== undefined) {
      findings.add('malformed', { rank }, complaint);
      continue;
    }
    const sizes = {
      input: chunksIn(program, rank, 'input'),
      output: chunksIn(program, rank, 'output'),
      scratch: chunksIn(program, rank, 'scratch'),
    };
    total += sizes.input + sizes.output + sizes.scratch;
    if (total > CHUNKS_MAX) {
      const sentence = `with this rank's there are ${total} chunks, but at most ${CHUNKS_MAX} are checked`;
      findings.add('malformed', { rank }, sentence);
      return;
    }
    const checked = { program, memory: memoryMap(program, rank, inPlace), sizes, equalChunks };
    for (const [channel, { steps }] of program.channels.entries()) {
      for (const [index, step] of steps.entries()) {
        const at: StepAddress = { rank, channel, step: index };
        checkStep(checked, at, step, findings);
      }
    }
  }
}

/** Whether it is the program that belongs to `rank`, and for the same call as the others. */
function complaintAboutPlace(
  programs: readonly Program[],
  program: Program,
  rank: number,
): string | undefined {
  if (program.rank !== rank) return `the program at position ${rank} is for rank ${program.rank}`;
  if (program.nranks !== programs.length) {
    return `the program is for ${program.nranks} ranks but there are ${programs.length} programs`;
  }
  const first = programs[0] as Program;
  if (isSameShape(first, program)) return undefined;
  return `the program's shape is ${shapeText(program)} but rank 0 has ${shapeText(first)}`;
}

function isSameShape(a: CollectiveShape, b: CollectiveShape): boolean {
  if (a.scratch === b.scratch && a.custom === b.custom) {
    return a.collective === b.collective && a.chunks === b.chunks && a.root === b.root;
  }
  return shapeText(a) === shapeText(b);
}

function shapeText({ collective, nranks, chunks, root, scratch, custom }: CollectiveShape): string {
  return JSON.stringify({ collective, nranks, chunks, root, scratch, custom });
}

function complaintAboutShape(program: Program): string | undefined {
  const { nranks, chunks, root, scratch } = program;
  if (!Number.isInteger(chunks) || chunks < 1) return `a block is cut into ${chunks} chunks`;
  if (!Number.isInteger(root) || root < 0 || root >= nranks) {
    return `the root is rank ${root} of ${nranks} ranks`;
  }
  const end = logicalChunks(program);
  const wrong = scratch.findIndex((logical) => !(logical >= 0 && logical < end));
  if (wrong < 0) return undefined;
  return `scratch[${wrong}] has the size of chunk ${scratch[wrong]}, but there are ${end} chunks`;
}

function complaintAboutChannels({ channels }: Program): string | undefined {
  if (channels.some(({ id }, index) => id !== index)) return 'channels are not in id order';
  const wrong = channels.find(({ lane }) => !Number.isInteger(lane) || lane < 0);
  return wrong && `channel ${wrong.id} has the lane ${wrong.lane}`;
}
