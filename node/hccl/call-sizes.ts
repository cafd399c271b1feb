/**
 * How much memory a call works on at one rank, and where one buffer lies in the other in place: from the
 * chunk table, so that it cannot differ from what the programs do.
 */
import { chunkTable, type ElementCounts } from '../../collectives/chunks.ts';
import {
  type CollectiveName,
  type CollectiveShape,
  inPlaceAlias,
} from '../../collectives/collective.ts';
import type { Rank } from '../../collectives/schedule.ts';
import { KeptValues } from './kept-values.ts';

/** Call shapes whose sizes are kept. */
const SIZES_MAX = 64;

/** In elements. */
export interface CallSizes {
  /** 0: the rank has no input, and `sendBuffer` does not matter. */
  readonly input: number;
  /** 0: the rank has no output, and `recvBuffer` does not matter. */
  readonly output: number;
  /** In place, `part` starts `offset` elements behind the other buffer. Absent: it has but one of them. */
  readonly inPlace?: { readonly part: 'input' | 'output'; readonly offset: number };
}

export interface SizedCall {
  readonly collective: CollectiveName;
  readonly root: Rank;
  readonly counts: ElementCounts;
  /** Names `counts`. */
  readonly countsKey: string;
}

export class CallSizeTable {
  readonly #rank: Rank;
  readonly #nranks: number;
  readonly #kept = new KeptValues<CallSizes>(SIZES_MAX);

  constructor(rank: Rank, nranks: number) {
    this.#rank = rank;
    this.#nranks = nranks;
  }

  of(call: SizedCall): CallSizes {
    const { collective, root, countsKey } = call;
    return this.#kept.get(`${collective} ${root} ${countsKey}`, () => this.#make(call));
  }

  #make({ collective, root, counts }: SizedCall): CallSizes {
    const rank = this.#rank;
    const shape: CollectiveShape = {
      collective,
      nranks: this.#nranks,
      chunks: 1,
      root,
      scratch: [],
    };
    const table = chunkTable(shape, counts);
    const input = table.bufferLength(rank, 'input');
    const output = table.bufferLength(rank, 'output');
    const alias = inPlaceAlias(shape, rank);
    if (alias === undefined) return { input, output };
    const { offset } = table.range(rank, { buffer: alias.whole, chunk: alias.chunk }, 0);
    return { input, output, inPlace: { part: alias.part, offset } };
  }
}
