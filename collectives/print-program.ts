/** Programs and steps as text, in the words of `program.ts`. */
import type { Program, Step } from './program.ts';
import type { Place } from './schedule.ts';

/** All steps of a program, one a line, with the channel and index that `depends` refers to. */
export function printProgram(program: Program): string {
  const { algorithm, collective, rank, nranks } = program;
  const lines = program.channels.flatMap(({ id, steps }) =>
    steps.map((step, index) => {
      const depends = step.depends.map((ref) => ` after ${ref.channel}.${ref.step}`).join('');
      return `  ${id}.${index}  ${describeStep(step)}${depends}`;
    }),
  );
  return [`${algorithm} ${collective}, rank ${rank} of ${nranks}`, ...lines].join('\n');
}

/** `recvReduceCopy output[2] = m + input[2] from 1`, in one line and without `depends`. */
export function describeStep({ kind, count, src, dst, recvFrom, sendTo }: Step): string {
  const value = formulaOf(kind, count, src, dst);
  const from = recvFrom === undefined ? '' : ` from ${recvFrom}`;
  const to = sendTo === undefined ? '' : ` to ${sendTo}`;
  return `${kind} ${value}${from}${to}`;
}

/** `output[2]`, or `output[2..4]` for three chunks. */
export function describePlace({ buffer, chunk }: Place, count = 1): string {
  return count === 1 ? `${buffer}[${chunk}]` : `${buffer}[${chunk}..${chunk + count - 1}]`;
}

function formulaOf(
  kind: Step['kind'],
  count: number,
  src: Place | undefined,
  dst: Place | undefined,
): string {
  const source = src === undefined ? '?' : describePlace(src, count);
  const target = dst === undefined ? '?' : describePlace(dst, count);
  switch (kind) {
    case 'send':
      return source;
    case 'recv':
    case 'recvCopySend':
      return `${target} = m`;
    case 'copy':
      return `${target} = ${source}`;
    case 'reduce':
      return `${target} = ${target} + ${source}`;
    case 'recvReduceSend':
      return `m + ${source}`;
    case 'recvReduceCopy':
    case 'recvReduceCopySend':
      return `${target} = m + ${source}`;
    default:
      return kind satisfies never;
  }
}
