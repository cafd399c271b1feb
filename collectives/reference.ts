/**
 * Runs programs on plain arrays, one step at a time: the oracle for whatever runs them faster.
 * Whoever follows the programs with float32 sums must get the same bits.
 */
import { assert, defined } from '../common/assert.ts';
import type { ChunkTable } from './chunks.ts';
import { inPlaceOutput } from './collective.ts';
import { interpret } from './interpret.ts';
import { type Program, receives, reduces, type Step, sends } from './program.ts';
import type { BufferName, Place } from './schedule.ts';

type Memory = Readonly<Record<BufferName, Float32Array>>;

/**
 * The output of every rank for these inputs (by rank; `broadcast` looks at the root's only), which
 * are left alone in both placements. The sum is float32, rounded after every addition. The programs
 * must be proved (`verify.ts`): one that gets stuck fails an assertion.
 */
export function runPrograms(
  programs: readonly Program[],
  table: ChunkTable,
  inputs: readonly Float32Array[],
  { inPlace }: { readonly inPlace: boolean },
): Float32Array[] {
  const memories = programs.map((program, rank) =>
    memoryOf(program, table, defined(inputs[rank], `the input of rank ${rank}`), inPlace),
  );
  const blocked = interpret<Float32Array>(programs, ({ rank }, step, message) => {
    const memory = defined(memories[rank], `the memory of rank ${rank}`);
    return carryOut(step, message, (place) => {
      const { offset, length } = table.range(rank, place, step.count);
      return memory[place.buffer].subarray(offset, offset + length);
    });
  });
  assert(blocked.length === 0, `Expected programs that end but ${blocked.length} channels wait`);
  return memories.map(({ output }) => output);
}

/** What no program has written is NaN, so that a read of it shows in the result. */
function memoryOf(
  program: Program,
  table: ChunkTable,
  values: Float32Array,
  inPlace: boolean,
): Memory {
  const { rank } = program;
  const inputLength = table.bufferLength(rank, 'input');
  assert(
    values.length === inputLength,
    `Expected ${inputLength} elements from rank ${rank} but found ${values.length}`,
  );
  const output = new Float32Array(table.bufferLength(rank, 'output')).fill(Number.NaN);
  const scratch = new Float32Array(table.bufferLength(rank, 'scratch')).fill(Number.NaN);
  if (!inPlace) return { input: values.slice(), output, scratch };
  const first: Place = { buffer: 'output', chunk: inPlaceOutput(program, rank, 0) };
  const { offset } = table.range(rank, first, 0);
  const input = output.subarray(offset, offset + inputLength);
  input.set(values);
  return { input, output, scratch };
}

/** Carries out a step on the elements that `at` gives for a place; returns what is sent. */
function carryOut(
  step: Step,
  message: Float32Array | undefined,
  at: (place: Place) => Float32Array,
): Float32Array | undefined {
  const src = step.src === undefined ? undefined : at(step.src);
  const dst = step.dst === undefined ? undefined : at(step.dst);
  const incoming = receives(step.kind) ? message : step.kind === 'reduce' ? dst : undefined;
  const value = reduces(step.kind)
    ? sum(defined(incoming, 'a first operand'), defined(src, 'a second operand'))
    : defined(incoming ?? src, 'a value');
  dst?.set(value);
  return sends(step.kind) ? value.slice() : undefined;
}

function sum(a: Float32Array, b: Float32Array): Float32Array {
  assert(a.length === b.length, `Expected ${a.length} elements but found ${b.length}`);
  const result = new Float32Array(a.length);
  for (let index = 0; index < a.length; index++) {
    result[index] = (a[index] as number) + (b[index] as number);
  }
  return result;
}
