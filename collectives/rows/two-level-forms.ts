/**
 * What two-level algorithms cost if links inside and across are alike: b boxes of g ranks, p in all. Where
 * they differ, each file's header says which part is which. Texts that begin with `≤` are bounds.
 */
import { ceilLog2, isPowerOfTwo } from '../../common/math.ts';
import type { AlgorithmOptions, ClosedForm } from '../algorithm-row.ts';
import type { PhaseName } from '../algorithms/group-algorithms.ts';
import { definedParts, type LevelAlgorithm, levelsOf } from '../algorithms/two-level.ts';

/** Start-ups, and bytes in units of what the phase works on. */
type Work = Pick<ClosedForm, 'alphas' | 'bytes' | 'reducedBytes'>;

function sum(works: readonly Work[]): Work {
  const total = (field: keyof Work): number => works.reduce((all, work) => all + work[field], 0);
  return { alphas: total('alphas'), bytes: total('bytes'), reducedBytes: total('reducedBytes') };
}

/** The work of a phase on the part `share` of n. */
function phaseWork(
  { name, members }: LevelAlgorithm,
  phase: PhaseName,
  share: number,
  segments: number,
): Work {
  const isReducing = phase === 'reduceScatter' || phase === 'reduce' || phase === 'allReduce';
  const rounds = roundsOf(name, members);
  const isOfBlocks = phase === 'reduceScatter' || phase === 'allGather' || phase === 'allToAll';
  const hops = members === 1 ? 0 : members - 2 + segments;
  const alphas = name === 'chain' ? hops : rounds;
  const vectors = name === 'chain' ? hops / segments : rounds;
  const bytes = share * (isOfBlocks ? (members - 1) / members : vectors);
  return { alphas, bytes, reducedBytes: isReducing ? bytes : 0 };
}

function roundsOf(name: string, members: number): number {
  if (name === 'neighbourExchange') return Math.floor(members / 2);
  const isLogarithmic = ['binomialTree', 'recursiveDoubling', 'halvingDoubling'].includes(name);
  return isLogarithmic || name === 'recursiveHalving' ? ceilLog2(members) : members - 1;
}

/** Algorithms whose ranks are all busy at all times: nothing of one hides behind another. */
const IN_STEP = ['ring', 'direct', 'pairwiseExchange'];

function form(text: string, work: Work, isExact: boolean): ClosedForm {
  return { ...work, ports: 'single', text: isExact ? text : `≤ ${text}` };
}

function isInStep(...levels: readonly LevelAlgorithm[]): boolean {
  return levels.every(({ name }) => IN_STEP.includes(name));
}

export function hierarchicalAllReduceForm(options: AlgorithmOptions): ClosedForm {
  const { inside, across } = definedParts('allReduce', options);
  const { chunks: segments = options.nranks } = options;
  const isInBlocks = inside.has('allGather');
  const share = isInBlocks ? 1 / inside.members : 1;
  const first = inside.has('reduceScatter') ? 'reduceScatter' : 'allReduce';
  const insidePhases: PhaseName[] = isInBlocks ? [first, 'allGather'] : ['reduce', 'broadcast'];
  const acrossPhases: PhaseName[] = across.has('allReduce')
    ? ['allReduce']
    : ['reduceScatter', 'allGather'];
  const work = sum([
    ...insidePhases.map((phase) => phaseWork(inside, phase, 1, segments)),
    ...acrossPhases.map((phase) => phaseWork(across, phase, share, segments)),
  ]);
  const text = isInStep(inside, across)
    ? '2(g-1)α + 2(b-1)α + 2(g-1)/g·nβ + 2(b-1)/b·(n/g)β + (p-1)/p·nγ'
    : `${inside.name} inside, then ${across.name} across, and inside again`;
  return form(text, work, isInStep(inside, across));
}

/** Blocks for the ranks of one index lie apart, and cross in messages of their own. */
export function hierarchicalBlocksForm(options: AlgorithmOptions): ClosedForm {
  const isReducing = options.collective.startsWith('reduceScatter');
  const phase = isReducing ? 'reduceScatter' : 'allGather';
  const { inside, across } = definedParts(phase, options);
  const [b, g] = [across.members, inside.members];
  const insideWork = phaseWork(inside, phase, 1, 1);
  const acrossWork = phaseWork(across, phase, 1 / g, 1);
  const work = sum([
    { ...insideWork, alphas: b * insideWork.alphas },
    { ...acrossWork, alphas: b - 1 },
  ]);
  const rounds = roundsOf(inside.name, g) === g - 1 ? '(g-1)' : 'r';
  const bytes = isReducing ? 'n(β+γ)' : 'nβ';
  const text = `(b-1)α + b${rounds}α + (p-1)/p·${bytes}${rounds === 'r' ? `, r rounds of ${inside.name}` : ''}`;
  return form(text, work, isInStep(inside, across));
}

export function hierarchicalRootedForm(options: AlgorithmOptions): ClosedForm {
  const phase = options.collective === 'reduce' ? 'reduce' : 'broadcast';
  const { inside, across } = definedParts(phase, options);
  const segments = options.chunks ?? 1;
  const work = sum([inside, across].map((level) => phaseWork(level, phase, 1, segments)));
  const isOfTrees = inside.name === 'binomialTree' && across.name === 'binomialTree';
  const isEven =
    phase === 'broadcast' || (isPowerOfTwo(inside.members) && isPowerOfTwo(across.members));
  const bytes = phase === 'reduce' ? 'nβ+nγ' : 'nβ';
  const text = isOfTrees
    ? `(⌈lg b⌉+⌈lg g⌉)(α+${bytes})`
    : `${across.name} across, ${inside.name} inside`;
  return form(text, work, isOfTrees && isEven);
}

/** Both ways round: every block travels inside and across. */
export function twoStepAllToAllForm(options: AlgorithmOptions): ClosedForm {
  const { boxes: b, size: g } = levelsOf(options);
  const work = { alphas: b - 1 + b * (g - 1), bytes: (b - 1) / b + (g - 1) / g, reducedBytes: 0 };
  return form('(b-1)α + b(g-1)α + (b-1)/b·nβ + (g-1)/g·nβ', work, true);
}

/** HCCL's in s slices: of `chunksPerSlice` chunks each. */
export function hcclForm(
  halves: { readonly reduced: 0 | 1; readonly gathered: 0 | 1 },
  chunksPerSlice: (options: AlgorithmOptions) => number,
): (options: AlgorithmOptions) => ClosedForm {
  return (options) => {
    const { nranks: p, chunks } = options;
    const slices = (chunks ?? chunksPerSlice(options)) / chunksPerSlice(options);
    const times = halves.reduced + halves.gathered;
    const bytes = (times * (p - 1)) / p;
    const factor = times === 2 ? '2' : '';
    const gamma = halves.reduced === 1 ? ' + (p-1)/p·nγ' : '';
    const text = `${factor}(p-1)sα + ${factor}(p-1)/p·nβ${gamma} in s slices`;
    const reducedBytes = (halves.reduced * (p - 1)) / p;
    return form(text, { alphas: times * (p - 1) * slices, bytes, reducedBytes }, slices === 1);
  };
}
