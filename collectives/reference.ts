/**
 * Runs programs on plain arrays, one step at a time: the oracle for whatever runs them faster. Whoever
 * follows the programs with the arithmetic of `arithmetic.ts` must get the same bits.
 */
import { assert, defined } from '../common/assert.ts';
import {
  averageElements,
  ELEMENT_TYPES,
  type ElementArray,
  type ElementType,
  type ElementValue,
  elementArray,
  multiplyElements,
  type ReduceOperation,
  reduceElements,
} from './arithmetic.ts';
import type { ChunkTable } from './chunks.ts';
import { BLOCKS, inPlaceAlias } from './collective.ts';
import { type InterpretOptions, interpret, type Visit } from './interpret.ts';
import { type Program, receives, reduces, type Step, sends } from './program.ts';
import type { BufferName, Place } from './schedule.ts';

export interface RunOptions {
  readonly inPlace: boolean;
  /** `float32` if absent. */
  readonly type?: ElementType;
  /** `sum` if absent; a barrier's token is always a maximum. */
  readonly op?: ReduceOperation;
  /** preMulSum: what each rank's input is multiplied with before it is added up, by rank. */
  readonly scalars?: readonly ElementValue[];
  /** Which of the allowed orders the steps run in; see `InterpretOptions`. */
  readonly choose?: InterpretOptions['choose'];
}

type Memory = Readonly<Record<BufferName, ElementArray>>;

/** Every bit set: NaN in floats, and a value that no test uses in integers. */
const NEVER_WRITTEN = 0xff;

/**
 * The output of every rank for these inputs (by rank; those of ranks that have none are not looked at),
 * which are left alone in both placements. What no program writes has all bits set. The programs must be
 * proved (`verify.ts`): one that gets stuck fails an assertion.
 */
export function runPrograms<A extends ElementArray>(
  programs: readonly Program[],
  table: ChunkTable,
  inputs: readonly A[],
  options: RunOptions,
): A[] {
  const { type = 'float32', choose } = options;
  const memories = programs.map((program, rank) =>
    memoryOf(program, table, defined(inputs[rank], `the input of rank ${rank}`), options),
  );
  const visit: Visit<ElementArray> = ({ rank }, step, message) => {
    const memory = defined(memories[rank], `the memory of rank ${rank}`);
    const at = (place: Place): ElementArray => {
      const { offset, length } = table.range(rank, place, step.count);
      return part(type, memory[place.buffer], offset, length);
    };
    return carryOut(step, message, at, { type, op: operationOf(programs, options) });
  };
  const blocked = interpret(programs, visit, choose === undefined ? {} : { choose });
  assert(blocked.length === 0, `Expected programs that end but ${blocked.length} channels wait`);
  return memories.map(({ output }, rank) => {
    const { collective, nranks } = defined(programs[rank], `program ${rank}`);
    const isAverage = options.op === 'avg' && BLOCKS[collective].reduces;
    if (isAverage) averageElements(type, output, nranks, output);
    return output as A;
  });
}

/** The token of a barrier hears of some ranks more than once. */
function operationOf(programs: readonly Program[], { op = 'sum' }: RunOptions): ReduceOperation {
  return programs[0]?.collective === 'barrier' ? 'max' : op;
}

function memoryOf(
  program: Program,
  table: ChunkTable,
  values: ElementArray,
  { inPlace, type = 'float32', scalars }: RunOptions,
): Memory {
  const { rank } = program;
  const length = (buffer: BufferName): number => table.bufferLength(rank, buffer);
  const input = blank(type, length('input'));
  assert(
    input.length === 0 || values.length === input.length,
    `Expected ${input.length} elements from rank ${rank} but found ${values.length}`,
  );
  if (input.length > 0) store(values, input);
  const scalar = scalars?.[rank];
  if (scalar !== undefined) multiplyElements(type, input, scalar, input);
  const memory = {
    input,
    output: blank(type, length('output')),
    scratch: blank(type, length('scratch')),
  };
  const alias = inPlace ? inPlaceAlias(program, rank) : undefined;
  if (alias === undefined) return memory;
  // Of an uneven all-to-all, neither of the two need be the longer one.
  const { offset } = table.range(rank, { buffer: alias.whole, chunk: alias.chunk }, 0);
  const end = offset + memory[alias.part].length;
  const whole = blank(type, Math.max(memory[alias.whole].length, end));
  const shared: Memory = {
    ...memory,
    [alias.whole]: part(type, whole, 0, memory[alias.whole].length),
    [alias.part]: part(type, whole, offset, memory[alias.part].length),
  };
  store(input, shared.input);
  return shared;
}

/** Carries out a step on the elements that `at` gives for a place; returns what is sent. */
function carryOut(
  step: Step,
  message: ElementArray | undefined,
  at: (place: Place) => ElementArray,
  { type, op }: { readonly type: ElementType; readonly op: ReduceOperation },
): ElementArray | undefined {
  const src = step.src === undefined ? undefined : at(step.src);
  const dst = step.dst === undefined ? undefined : at(step.dst);
  const incoming = receives(step.kind) ? message : step.kind === 'reduce' ? dst : undefined;
  const value = defined(incoming ?? src, 'a value');
  const result = blank(type, value.length);
  if (reduces(step.kind)) reduceElements(type, op, value, defined(src, 'an operand'), result);
  else store(value, result);
  if (dst !== undefined) store(result, dst);
  return sends(step.kind) ? result : undefined;
}

function blank(type: ElementType, length: number): ElementArray {
  const bytes = new Uint8Array(length * ELEMENT_TYPES[type].bytes).fill(NEVER_WRITTEN);
  return elementArray(type, bytes.buffer, 0, length);
}

/** `length` elements from `offset` on, the same memory. */
function part(
  type: ElementType,
  elements: ElementArray,
  offset: number,
  length: number,
): ElementArray {
  const start = elements.byteOffset + offset * ELEMENT_TYPES[type].bytes;
  return elementArray(type, elements.buffer, start, length);
}

function store(source: ElementArray, target: ElementArray): void {
  assert(
    source.byteLength === target.byteLength,
    `Expected ${target.length} elements but found ${source.length}`,
  );
  bytesOf(target).set(bytesOf(source));
}

function bytesOf({ buffer, byteOffset, byteLength }: ElementArray): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
