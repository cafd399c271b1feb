/**
 * Writes down as `depends` what orders two steps only by way of other ranks.
 *
 * MSCCL's thread blocks finish every step before the next, so that a message which went around through
 * other ranks tells its receiver that all before it is done, and files rely on that. An executor that
 * overlaps the steps of a channel keeps no such order unless a program says so. Whoever made the order
 * by messages waits already where a dependency is added: it takes no room and makes no deadlock.
 */
import { interpretWired, type StepAddress } from './interpret.ts';
import { memoryMap } from './memory.ts';
import type { Program, StepRef } from './program.ts';
import { HappensBefore } from './verifier/happens-before.ts';
import { RaceDetector } from './verifier/race-detector.ts';
import { processAt, wire } from './wiring.ts';

/**
 * The same programs with `depends` added, so that what `verify` proves with the order `messages` in this
 * placement is proved with `program` too. Programs must be well-formed; races stay as they are.
 */
export function withExplicitOrder(
  programs: readonly Program[],
  { inPlace }: { readonly inPlace: boolean },
): Program[] {
  const wiring = wire(programs);
  const explicit = new HappensBefore(wiring, { messages: false });
  const implied = new HappensBefore(wiring, { messages: true });
  const added = new Map<number, StepRef[]>();
  const order = (earlier: StepRef, { rank, channel, step }: StepAddress): boolean => {
    const other = processAt(wiring, rank, earlier.channel);
    const process = processAt(wiring, rank, channel);
    if (explicit.isBefore(other, earlier.step, process, step)) return true;
    if (!implied.isBefore(other, earlier.step, process, step)) return false;
    explicit.addOrder(other, earlier.step, process, step);
    const number = (wiring.processes[process]?.firstStep ?? 0) + step;
    added.set(number, [...(added.get(number) ?? []), earlier]);
    return true;
  };
  const detectors = programs.map(
    (program) => new RaceDetector(memoryMap(program, program.rank, inPlace), order),
  );
  interpretWired(wiring, (at, step) => {
    detectors[at.rank]?.run(at, step);
    return 0;
  });
  return programs.map((program) => {
    const channels = program.channels.map((channel) => {
      const { firstStep } = wiring.processes[processAt(wiring, program.rank, channel.id)] ?? {};
      const steps = channel.steps.map((step, index) => {
        const more = added.get((firstStep ?? 0) + index);
        return more === undefined ? step : { ...step, depends: withMore(step.depends, more) };
      });
      return { ...channel, steps };
    });
    return { ...program, channels };
  });
}

/** The last step of every channel that one of them names: those before it follow. */
function withMore(depends: readonly StepRef[], more: readonly StepRef[]): StepRef[] {
  const last = new Map<number, number>();
  for (const { channel, step } of [...depends, ...more]) {
    last.set(channel, Math.max(step, last.get(channel) ?? 0));
  }
  return [...last].map(([channel, step]) => ({ channel, step }));
}
