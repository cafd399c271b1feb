/** Whether a step has the fields of its kind, and whether what these name is there. */
import type { StepAddress } from '../interpret.ts';
import { type MemoryMap, overlaps } from '../memory.ts';
import { describePlace, describeStep } from '../print-program.ts';
import { type Program, receives, type Step, type StepKind, sends } from '../program.ts';
import type { BufferName, Place } from '../schedule.ts';
import { sizeOf } from './chunk-size.ts';
import type { Findings } from './finding.ts';

export interface CheckedProgram {
  readonly program: Program;
  readonly memory: MemoryMap;
  /** Chunks of each buffer. */
  readonly sizes: Readonly<Record<BufferName, number>>;
  readonly equalChunks: boolean;
}

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

/** Which fields a kind has. */
const FIELDS: readonly (readonly [keyof Step, (kind: StepKind) => boolean])[] = [
  ['recvFrom', receives],
  ['sendTo', sends],
  ['landing', sends],
  ['src', (kind) => NAMES_SRC.has(kind)],
  ['dst', (kind) => NAMES_DST.has(kind)],
];

/** Adds the first thing that is wrong with the step. */
export function checkStep(
  checked: CheckedProgram,
  at: StepAddress,
  step: Step,
  findings: Findings,
): void {
  if (addWaitForItself(at, step, findings)) return;
  const complaint =
    complaintAboutFields(step) ??
    complaintAboutPeer(checked.program, at, step, step.recvFrom) ??
    complaintAboutPeer(checked.program, at, step, step.sendTo) ??
    complaintAboutDepends(checked.program, at, step, findings) ??
    complaintAboutPlaces(checked, step);
  if (complaint === undefined) addUnequalSizes(checked, at, step, findings);
  else findings.add('malformed', whereOf(at, step), complaint);
}

function whereOf(at: StepAddress, { src, dst }: Step): StepAddress & { readonly chunk?: number } {
  const place = dst ?? src;
  return place === undefined ? at : { ...at, chunk: place.chunk };
}

/** In its own channel a step can come only after those before it. */
function addWaitForItself(at: StepAddress, step: Step, findings: Findings): boolean {
  const awaited = step.depends.find((ref) => ref.channel === at.channel && ref.step >= at.step);
  if (awaited === undefined) return false;
  const name = findings.nameOf({ rank: at.rank, ...awaited });
  const sentence = `deadlock: ${describeStep(step)} waits for the end of ${name}, which does not come before it`;
  findings.add('deadlock', whereOf(at, step), sentence);
  return true;
}

function complaintAboutFields(step: Step): string | undefined {
  for (const [name, isExpectedOf] of FIELDS) {
    const isExpected = isExpectedOf(step.kind);
    if ((step[name] !== undefined) === isExpected) continue;
    return `${step.kind} ${isExpected ? 'needs' : 'has no use for'} ${name}`;
  }
  return undefined;
}

function complaintAboutPeer(
  { nranks }: Program,
  { rank }: StepAddress,
  { kind }: Step,
  peer: number | undefined,
): string | undefined {
  if (peer === undefined) return undefined;
  if (Number.isInteger(peer) && peer >= 0 && peer < nranks && peer !== rank) return undefined;
  return `${kind} names rank ${peer}, which is no peer`;
}

function complaintAboutDepends(
  { channels }: Program,
  at: StepAddress,
  { depends }: Step,
  findings: Findings,
): string | undefined {
  for (const { channel, step } of depends) {
    const other = channel === at.channel ? undefined : channels[channel];
    if (other?.steps[step] !== undefined) continue;
    const target = findings.nameOf({ rank: at.rank, channel, step });
    return `depends on ${target}, which is no step of another channel`;
  }
  return undefined;
}

function complaintAboutPlaces(
  { program, memory, sizes }: CheckedProgram,
  { kind, src, dst, count }: Step,
): string | undefined {
  if (!Number.isInteger(count) || count < 1) return `works on ${count} chunks`;
  for (const place of [src, dst]) {
    if (place === undefined || isInside(place, count, sizes[place.buffer])) continue;
    const size = sizes[place.buffer] ?? 0;
    return `${describePlace(place, count)} is outside ${place.buffer} of ${size} chunks`;
  }
  if (dst?.buffer === 'input' && program.overwritesInput !== true) {
    return `${kind} writes ${describePlace(dst, count)}, which holds the caller's data`;
  }
  if (src === undefined || dst === undefined || !overlapsInPart(memory, src, dst, count)) {
    return undefined;
  }
  return `${describePlace(src, count)} and ${describePlace(dst, count)} overlap without being the same`;
}

function isInside({ chunk }: Place, count: number, size: number | undefined): boolean {
  return size !== undefined && Number.isInteger(chunk) && chunk >= 0 && chunk + count <= size;
}

function overlapsInPart(memory: MemoryMap, src: Place, dst: Place, count: number): boolean {
  return memory.locate(src) !== memory.locate(dst) && overlaps(memory, src, count, dst, count);
}

function addUnequalSizes(
  { program, equalChunks }: CheckedProgram,
  at: StepAddress,
  { kind, src, dst, count }: Step,
  findings: Findings,
): void {
  if (equalChunks || src === undefined || dst === undefined) return;
  for (let offset = 0; offset < count; offset++) {
    const from = sizeOf(program, at.rank, src.buffer, src.chunk + offset);
    const to = sizeOf(program, at.rank, dst.buffer, dst.chunk + offset);
    if (from === to) continue;
    const sentence = `${kind} puts what has the size of chunk ${from} where chunk ${to} belongs`;
    findings.add('mismatch', { ...at, chunk: dst.chunk + offset }, sentence);
    return;
  }
}
