/** `nop`s that wait for each other: no step of a program is left to show that, but nobody gets past them. */
import type { MscclGpu, MscclStep } from './document.ts';
import type { ReadDocument } from './read-document.ts';

/** A sentence about one that is in a circle of `nop`s, or waits for one; `undefined` if there is none. */
export function nopCircle({ document, lineOf }: ReadDocument): string | undefined {
  for (const [rank, gpu] of document.gpus.entries()) {
    const stuck = firstStuck(gpu);
    if (stuck === undefined) continue;
    const block = gpu.threadBlocks.findIndex(({ steps }) => steps.includes(stuck));
    const { chan = 0, steps = [] } = gpu.threadBlocks[block] ?? {};
    const name = `Rank ${rank} channel ${chan} tb ${block} step ${steps.indexOf(stuck)}`;
    return `${name} (line ${lineOf(stuck)}): deadlock: nop waits for nops that wait for each other`;
  }
  return undefined;
}

/** Takes away those that wait for none, again and again, and looks at what is left. */
function firstStuck(gpu: MscclGpu): MscclStep | undefined {
  const waits = new Map<MscclStep, number>();
  const followers = new Map<MscclStep, MscclStep[]>();
  for (const [step, awaited] of waitsOfNops(gpu)) {
    waits.set(step, awaited.length);
    for (const other of awaited) {
      const known = followers.get(other);
      if (known === undefined) followers.set(other, [step]);
      else known.push(step);
    }
  }
  const free = [...waits.keys()].filter((step) => waits.get(step) === 0);
  for (let step = free.pop(); step !== undefined; step = free.pop()) {
    waits.delete(step);
    for (const follower of followers.get(step) ?? []) {
      const left = (waits.get(follower) ?? 0) - 1;
      waits.set(follower, left);
      if (left === 0) free.push(follower);
    }
  }
  return waits.keys().next().value;
}

/** Every `nop` and those that it waits for: the one right before it, and its target. */
function* waitsOfNops({ threadBlocks }: MscclGpu): Generator<[MscclStep, MscclStep[]]> {
  for (const { steps } of threadBlocks) {
    for (const [index, step] of steps.entries()) {
      if (step.type !== 'nop') continue;
      const { depid = -1, deps = -1 } = step;
      const target = depid < 0 ? undefined : threadBlocks[depid]?.steps[deps];
      const awaited = [steps[index - 1], target].filter((other) => other !== undefined);
      yield [step, awaited.filter(({ type }) => type === 'nop')];
    }
  }
}
