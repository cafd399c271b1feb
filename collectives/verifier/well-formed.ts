/** Whether each program is one at all, looked at alone: what later checks take for granted. */
import { chunksIn, logicalChunk } from '../collective.ts';
import type { StepAddress } from '../interpret.ts';
import { type MemoryMap, memoryMap, overlaps } from '../memory.ts';
import { describePlace } from '../print-program.ts';
import { type Program, receives, type Step, type StepKind, sends } from '../program.ts';
import type { Place } from '../schedule.ts';
import type { Findings, Where } from './finding.ts';

const NAMES_SRC: ReadonlySet<StepKind> = new Set([
  'send',
  'copy',
  'reduce',
  'recvReduceCopy',
  'recvReduceSend',
  'recvReduceCopySend',
]);
const NAMES_DST: ReadonlySet<StepKind> = new Set([
  'recv',
  'copy',
  'reduce',
  'recvCopySend',
  'recvReduceCopy',
  'recvReduceCopySend',
]);

export interface WellFormedOptions {
  readonly inPlace: boolean;
  /** All chunks have the same size, so any two places may exchange data. */
  readonly equalChunks: boolean;
}

export function checkWellFormed(
  programs: readonly Program[],
  options: WellFormedOptions,
  findings: Findings,
): void {
  if (programs.length === 0) findings.add('malformed', {}, 'there is no program');
  for (const [rank, program] of programs.entries()) {
    const complaint = complaintAboutShape(programs, program, rank);
    if (complaint !== undefined) {
      findings.add('malformed', { rank }, complaint);
      continue;
    }
    const memory = memoryMap(program, rank, options.inPlace);
    for (const [channel, { steps }] of program.channels.entries()) {
      for (const [index, step] of steps.entries()) {
        const at: StepAddress = { rank, channel, step: index };
        checkStep({ program, memory, at, step, equalChunks: options.equalChunks }, findings);
      }
    }
  }
}

function complaintAboutShape(
  programs: readonly Program[],
  program: Program,
  rank: number,
): string | undefined {
  if (program.rank !== rank) return `the program at position ${rank} is for rank ${program.rank}`;
  if (program.nranks !== programs.length) {
    return `the program is for ${program.nranks} ranks but there are ${programs.length} programs`;
  }
  if (program.channels.some(({ id }, index) => id !== index)) return 'channels are not in id order';
  const shapes = [programs[0] as Program, program].map(
    ({ collective, nranks, chunks, root, scratch }) =>
      JSON.stringify({ collective, nranks, chunks, root, scratch }),
  );
  if (shapes[0] !== shapes[1])
    return `the program's shape is ${shapes[1]} but rank 0 has ${shapes[0]}`;
  return undefined;
}

interface Checked {
  readonly program: Program;
  readonly memory: MemoryMap;
  readonly at: StepAddress;
  readonly step: Step;
  readonly equalChunks: boolean;
}

function checkStep(checked: Checked, findings: Findings): void {
  const complaints = [...complaintsAboutFields(checked), ...complaintsAboutDepends(checked)];
  if (complaints.length === 0) complaints.push(...complaintsAboutPlaces(checked));
  for (const complaint of complaints) findings.add('malformed', checked.at, complaint);
  const unequal = complaints.length === 0 ? unequalSizes(checked) : undefined;
  if (unequal !== undefined)
    findings.add('mismatch', { ...checked.at, ...unequal }, unequal.sentence);
}

function complaintsAboutFields({ program, at, step }: Checked): string[] {
  const complaints: string[] = [];
  const expectField = (name: keyof Step, isExpected: boolean): void => {
    if ((step[name] !== undefined) === isExpected) return;
    complaints.push(`${step.kind} ${isExpected ? 'needs' : 'has no use for'} ${name}`);
  };
  expectField('recvFrom', receives(step.kind));
  expectField('sendTo', sends(step.kind));
  expectField('landing', sends(step.kind));
  expectField('src', NAMES_SRC.has(step.kind));
  expectField('dst', NAMES_DST.has(step.kind));
  for (const peer of [step.recvFrom, step.sendTo]) {
    if (peer === undefined) continue;
    const isPeer = Number.isInteger(peer) && peer >= 0 && peer < program.nranks && peer !== at.rank;
    if (!isPeer) complaints.push(`${step.kind} names rank ${peer}, which is no peer`);
  }
  return complaints;
}

function complaintsAboutDepends({ program, at, step }: Checked): string[] {
  return step.depends.flatMap(({ channel, step: index }) => {
    const exists = index >= 0 && index < (program.channels[channel]?.steps.length ?? 0);
    if (exists && channel !== at.channel) return [];
    return [`depends on step ${index} of channel ${channel}, which is no step of another channel`];
  });
}

function complaintsAboutPlaces({ program, memory, step }: Checked): string[] {
  const { src, dst, count } = step;
  if (!Number.isInteger(count) || count < 1) return [`works on ${count} chunks`];
  const complaints: string[] = [];
  for (const place of [src, dst]) {
    const end = place === undefined ? 0 : chunksIn(program, place.buffer);
    if (place === undefined || (place.chunk >= 0 && place.chunk + count <= end)) continue;
    complaints.push(`${describePlace(place, count)} is outside ${place.buffer} of ${end} chunks`);
  }
  if (complaints.length > 0) return complaints;
  if (dst?.buffer === 'input') complaints.push(`writes ${describePlace(dst, count)}`);
  if (src !== undefined && dst !== undefined && overlapsInPart(memory, src, dst, count)) {
    const places = `${describePlace(src, count)} and ${describePlace(dst, count)}`;
    complaints.push(`${places} overlap without being the same`);
  }
  return complaints;
}

function overlapsInPart(memory: MemoryMap, src: Place, dst: Place, count: number): boolean {
  return memory.locate(src) !== memory.locate(dst) && overlaps(memory, src, count, dst, count);
}

function unequalSizes({
  program,
  at,
  step,
  equalChunks,
}: Checked): (Where & { readonly sentence: string }) | undefined {
  const { src, dst, count } = step;
  if (equalChunks || src === undefined || dst === undefined) return undefined;
  for (let offset = 0; offset < count; offset++) {
    const [a, b] = [src, dst].map(({ buffer, chunk }) =>
      logicalChunk(program, at.rank, buffer, chunk + offset),
    );
    if (a !== b) {
      const sentence = `${step.kind} puts what has the size of chunk ${a} where chunk ${b} belongs`;
      return { chunk: dst.chunk + offset, sentence };
    }
  }
  return undefined;
}
