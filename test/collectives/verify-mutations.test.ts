/**
 * Correct programs with one mistake put into them, against what happens when they are run. Every mutant
 * that some allowed order of execution gives a wrong result, or leaves waiting, is refuted.
 */
import { describe, expect, it } from 'vitest';
import { onChannels } from '../../collectives/channels.ts';
import type { CollectiveName } from '../../collectives/collective.ts';
import { lowerAll } from '../../collectives/lower.ts';
import { type Program, receives, reduces } from '../../collectives/program.ts';
import { buildSchedule } from '../../collectives/table.ts';
import { flatTopology } from '../../collectives/topology.ts';
import { verify } from '../../collectives/verify.ts';
import { Prng } from '../../common/prng.ts';
import { everyStep, MUTATIONS, stepAt } from './mutation.ts';
import { runInRandomOrder } from './random-order.ts';
import { PLACEMENTS, withStep } from './support.ts';
import { asThreadBlocks } from './thread-blocks.ts';

const MUTANTS = 200;
/** Random orders that each mutant is run in, per placement. */
const ORDERS = 4;

function lowered(
  collective: CollectiveName,
  algorithm: string,
  nranks: number,
  channels = 1,
): Program[] {
  const request = { collective, algorithm, topology: flatTopology(nranks) };
  return lowerAll(onChannels(buildSchedule(request), channels));
}

function threadBlocks(collective: CollectiveName, algorithm: string, nranks: number): Program[] {
  return asThreadBlocks(lowered(collective, algorithm, nranks), new Prng(nranks));
}

const PROVED: readonly (readonly [string, readonly Program[]])[] = [
  ['ring allReduce of 4', lowered('allReduce', 'ring', 4)],
  ['ring allReduce of 3 on 2 channels', lowered('allReduce', 'ring', 3, 2)],
  ['recursiveDoubling allReduce of 5', lowered('allReduce', 'recursiveDoubling', 5)],
  ['binomialTree broadcast of 6 on 2 channels', lowered('broadcast', 'binomialTree', 6, 2)],
  ['direct allToAll of 4', lowered('allToAll', 'direct', 4)],
  [
    'recursiveDoubling allReduce of 6 in thread blocks',
    threadBlocks('allReduce', 'recursiveDoubling', 6),
  ],
  ['direct allReduce of 4 in thread blocks', threadBlocks('allReduce', 'direct', 4)],
  ['ring allGather of 4 in thread blocks', threadBlocks('allGather', 'ring', 4)],
  [
    'halvingDoubling allReduce of 6 in thread blocks',
    threadBlocks('allReduce', 'halvingDoubling', 6),
  ],
  ['dissemination barrier of 5 in thread blocks', threadBlocks('barrier', 'dissemination', 5)],
];

describe.each(PROVED)(`of ${MUTANTS} mutants of %s`, (_, programs) => {
  const prng = new Prng(4);

  it('none that passes the verifier gives a wrong result or hangs', () => {
    for (const { inPlace } of PLACEMENTS) {
      expect(verify(programs, { inPlace })).toEqual({ proved: true, findings: [] });
    }
    const tally = { refuted: 0, passed: 0, shown: 0 };
    const mutations = Object.values(MUTATIONS);
    for (let made = 0; made < MUTANTS; ) {
      const mutant = mutations[prng.below(mutations.length)]?.(programs, prng);
      if (mutant === undefined) continue;
      made++;
      for (const { inPlace } of PLACEMENTS) {
        const { proved } = verify(mutant, { inPlace });
        const outcomes = Array.from({ length: ORDERS }, () =>
          runInRandomOrder(mutant, inPlace, prng),
        );
        const isShown = outcomes.some((outcome) => outcome !== 'right');
        if (proved && isShown) expect({ outcomes, mutant, inPlace }).toBe('refuted');
        tally[proved ? 'passed' : 'refuted']++;
        if (isShown) tally.shown++;
      }
    }
    expect(tally.refuted).toBeGreaterThanOrEqual(tally.shown);
    expect(tally.shown).toBeGreaterThan(MUTANTS / 4);
  });
});

describe('a dependency that is needed', () => {
  it('is missed by the verifier, and by results in some order', () => {
    const programs = threadBlocks('allReduce', 'halvingDoubling', 6);
    const prng = new Prng(11);
    const tally = { needed: 0, redundant: 0, shown: 0 };
    for (const at of everyStep(programs)) {
      const step = stepAt(programs, at);
      if (step.depends.length === 0) continue;
      const mutant = withStep(programs, at, { ...step, depends: [] });
      const { proved, findings } = verify(mutant, { inPlace: true });
      tally[proved ? 'redundant' : 'needed']++;
      if (!proved) expect(findings[0]?.kind).toBe('race');
      const outcomes = Array.from({ length: 20 }, () => runInRandomOrder(mutant, true, prng));
      if (outcomes.some((outcome) => outcome !== 'right')) tally.shown++;
    }
    expect(tally.needed).toBeGreaterThan(0);
    expect(tally.shown).toBeGreaterThan(0);
  });
});

describe('a reduction that is left out', () => {
  it.each(['ring', 'recursiveDoubling', 'direct'])('of %s allReduce is refuted', (algorithm) => {
    const programs = lowered('allReduce', algorithm, 4);
    for (const at of everyStep(programs)) {
      const step = stepAt(programs, at);
      if (!reduces(step.kind) || !receives(step.kind) || step.dst === undefined) continue;
      const { src: _, ...rest } = step;
      const kind = step.kind === 'recvReduceCopy' ? 'recv' : 'recvCopySend';
      const mutant = withStep(programs, at, { ...rest, kind });
      expect(verify(mutant, { inPlace: false }).proved).toBe(false);
    }
  });
});
