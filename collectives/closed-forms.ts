/**
 * What algorithms cost, as the literature has it: Thakur, Rabenseifner and Gropp, Int. J. High Perform.
 * Comput. Appl. 19 (2005), and the comments of MPICH's src/mpi/coll. p ranks; n as `ClosedForm` says.
 */
import { ceilLog2, floorLog2, isPowerOfTwo } from '../common/math.ts';
import type { AlgorithmOptions, ClosedForm } from './algorithm-row.ts';

type FormOf = (options: AlgorithmOptions) => ClosedForm;

/** All but one of p blocks. */
const share = (nranks: number): number => (nranks - 1) / nranks;

function form(text: string, alphas: number, bytes: number, reducedBytes = 0): ClosedForm {
  return { alphas, bytes, reducedBytes, ports: 'single', text };
}

export const ringAllReduceForm: FormOf = ({ nranks: p }) =>
  form('2(p-1)α + 2(p-1)/p·nβ + (p-1)/p·nγ', 2 * (p - 1), 2 * share(p), share(p));

/**
 * Start-up times to all peers overlap, twice; blocks are added as they come, so one addition is left
 * when the last has come (if adding a byte takes no longer than sending one).
 */
export const allPairsAllReduceForm: FormOf = ({ nranks: p }) => {
  const text = '2α + 2(p-1)/p·nβ + 1/p·nγ, γ ≤ β';
  const alphas = p === 1 ? 0 : 2;
  return { ...form(text, alphas, 2 * share(p), p === 1 ? 0 : 1 / p), ports: 'full' };
};

/** A block per rank, moved by p - 1 messages of one block each: ring, direct, linear. */
export const blockwiseForm: FormOf = ({ nranks: p }) =>
  form('(p-1)α + (p-1)/p·nβ', p - 1, share(p));

/** The same, each block also reduced. */
export const blockwiseReductionForm: FormOf = ({ nranks: p }) =>
  form('(p-1)α + (p-1)/p·n(β+γ)', p - 1, share(p), share(p));

export const doublingAllReduceForm: FormOf = ({ nranks: p }) => {
  const rounds = floorLog2(p);
  if (isPowerOfTwo(p)) return form('lg p(α+nβ+nγ)', rounds, rounds, rounds);
  const text = '⌊lg p⌋(α+nβ+nγ) + 2α + 2nβ + nγ';
  return form(text, rounds + 2, rounds + 2, rounds + 1);
};

export const doublingAllGatherForm: FormOf = ({ nranks: p }) =>
  form('lg p·α + (p-1)/p·nβ', floorLog2(p), share(p));

/**
 * Where p is no power of two, q = 2^⌊lg p⌋ ranks halve and double; MPICH writes p for q, a bound.
 * `handing` is the number of times the whole vector is handed in and back.
 */
function rabenseifnerForm(p: number, handing: 1 | 2): ClosedForm {
  const alphas = 2 * floorLog2(p);
  const text = '2lg p·α + 2(p-1)/p·nβ + (p-1)/p·nγ';
  if (isPowerOfTwo(p)) return form(text, alphas, 2 * share(p), share(p));
  const core = share(2 ** floorLog2(p));
  const folded = `(2⌊lg p⌋+${handing})α + (2(q-1)/q+${handing})nβ + (1+(q-1)/q)nγ, q = 2^⌊lg p⌋`;
  return form(folded, alphas + handing, 2 * core + handing, 1 + core);
}

export const halvingDoublingAllReduceForm: FormOf = ({ nranks }) => rabenseifnerForm(nranks, 2);

/** A root takes nothing back: it is in the core. */
export const halvingDoublingReduceForm: FormOf = ({ nranks }) => rabenseifnerForm(nranks, 1);

/**
 * MPICH's own formula for other p has an n too many. Here, the first of the q = 2^⌊lg p⌋ ranks that halve
 * have the blocks of two, and so the halves that count are 2^k + min(2^k, p-q) blocks.
 */
export const recursiveHalvingForm: FormOf = ({ nranks: p }) => {
  const rounds = floorLog2(p);
  if (isPowerOfTwo(p)) return form('lg p·α + (p-1)/p·n(β+γ)', rounds, share(p), share(p));
  const guests = p - 2 ** rounds;
  let blocks = 0;
  for (let half = 1; half < 2 ** rounds; half *= 2) blocks += half + Math.min(half, guests);
  const text = '(⌊lg p⌋+2)α + (1+(h+1)/p)nβ + (1+h/p)nγ, h = Σ (2^k + min(2^k, p-2^⌊lg p⌋))';
  return form(text, rounds + 2, 1 + (blocks + 1) / p, 1 + blocks / p);
};

export const treeBroadcastForm: FormOf = ({ nranks: p }) =>
  form('⌈lg p⌉(α+nβ)', ceilLog2(p), ceilLog2(p));

export const treeReduceForm: FormOf = ({ nranks: p }) =>
  form('⌈lg p⌉(α+nβ+nγ)', ceilLog2(p), ceilLog2(p), ceilLog2(p));

export const treeAllReduceForm: FormOf = ({ nranks: p }) =>
  form('2⌈lg p⌉(α+nβ) + ⌈lg p⌉nγ', 2 * ceilLog2(p), 2 * ceilLog2(p), ceilLog2(p));

/** Gather and scatter. */
export const treeBlocksForm: FormOf = ({ nranks: p }) =>
  form('⌈lg p⌉α + (p-1)/p·nβ', ceilLog2(p), share(p));

export const linearBroadcastForm: FormOf = ({ nranks: p }) => form('(p-1)(α+nβ)', p - 1, p - 1);

export const linearReduceForm: FormOf = ({ nranks: p }) =>
  form('(p-1)(α+nβ+nγ)', p - 1, p - 1, p - 1);

export const shiftForm: FormOf = ({ nranks: p }) =>
  form('α + nβ', Math.min(1, p - 1), Math.min(1, p - 1));

/** n is the token. */
export const disseminationForm: FormOf = ({ nranks: p }) =>
  form('⌈lg p⌉(α+nβ+nγ)', ceilLog2(p), ceilLog2(p), ceilLog2(p));
