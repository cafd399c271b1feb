/** Collects the ranks' reports of a sweep into rows. */
import { z } from 'zod';
import { BLOCKS } from '../collectives/collective.ts';
import { COLLECTIVE_WORDS } from '../collectives/names.ts';
import { HlsimError } from '../common/errors.ts';
import { algorithmBandwidth, busBandwidthFactor } from './busbw.ts';
import type { BenchOptions } from './options.ts';
import { type ChoiceReport, type Measurement, type SizeReport, sizeReport } from './report.ts';
import { type BenchSize, benchSizes } from './sizes.ts';

/** Figures of one size, out of place or in place. */
export interface BenchFigures {
  /** Of the slowest rank. */
  readonly timeUs: number;
  /** GB/s */
  readonly algBw: number;
  readonly busBw: number;
  /** Wrong elements on all ranks together; null: not checked. */
  readonly wrong: number | null;
  /** Digests of the ranks' results, in rank order; empty: not asked for. */
  readonly digests: readonly string[];
}

export interface BenchRow {
  /** Bytes of the whole array. */
  readonly size: number;
  /** Elements that the call was given. */
  readonly count: number;
  readonly type: string;
  readonly redop: string;
  /** -1: the collective has none. */
  readonly root: number;
  /** null: not measured, because the collective or the schedule has no such form. */
  readonly outOfPlace: BenchFigures | null;
  readonly inPlace: BenchFigures | null;
  /** How HCCL carried it out; null where it is no collective to it. */
  readonly choice: ChoiceReport | null;
}

export class BenchResults {
  readonly options: BenchOptions;
  readonly nranks: number;
  readonly #sizes: readonly BenchSize[];
  readonly #rows: BenchRow[] = [];
  /** By rank, what carries its bytes to each other rank; as far as told. */
  readonly links = new Map<number, readonly (string | null)[]>();
  /** Reports of the size that is being measured, by rank. */
  readonly #pending = new Map<number, SizeReport>();

  constructor(options: BenchOptions, nranks: number) {
    this.options = options;
    this.nranks = nranks;
    this.#sizes = benchSizes(options, nranks);
  }

  /** Rows so far, in the order of the sweep. */
  get rows(): readonly BenchRow[] {
    return this.#rows;
  }

  /** Whether there is a row for every size. */
  get complete(): boolean {
    return this.#rows.length === this.#sizes.length;
  }

  /** Wrong elements of all results on all ranks. */
  get outOfBounds(): number {
    return this.#figures().reduce((sum, { wrong }) => sum + (wrong ?? 0), 0);
  }

  /** Mean busbw of all rows, out of place and in place, in GB/s; 0 without rows. */
  get averageBusBandwidth(): number {
    const figures = this.#figures();
    if (figures.length === 0) return 0;
    return figures.reduce((sum, { busBw }) => sum + busBw, 0) / figures.length;
  }

  /**
   * Takes a rank's report; returns a row once every rank has reported its size. Throws
   * `HLSIM_PROTOCOL_ERROR` for a report that is malformed, out of order or not of this sweep.
   */
  add(rank: number, report: unknown): BenchRow | undefined {
    const parsed = sizeReport.safeParse(report);
    if (!parsed.success) {
      throw unexpected(rank, 'a report of one size', z.prettifyError(parsed.error));
    }
    this.#expectNext(rank, parsed.data);
    this.#pending.set(rank, parsed.data);
    if (parsed.data.links !== undefined) this.links.set(rank, parsed.data.links);
    if (this.#pending.size < this.nranks) return undefined;
    const reports = [...this.#pending].sort(([a], [b]) => a - b).map(([, report]) => report);
    const row = this.#row(reports, parsed.data);
    this.#pending.clear();
    this.#rows.push(row);
    return row;
  }

  /**
   * No rank can be a size ahead: each size begins with a barrier at the coordinator, where the reports
   * come through too.
   */
  #expectNext(rank: number, report: SizeReport): void {
    const { index, bytes, count, dataType, reduceOp } = report;
    if (!Number.isInteger(rank) || rank < 0 || rank >= this.nranks) {
      throw unexpected(rank, `reports of ranks below ${this.nranks}`, `one of rank ${rank}`);
    }
    if (this.#pending.has(rank)) throw unexpected(rank, 'one report of a size', 'a second one');
    const next = this.#rows.length;
    const size = this.#sizes[next];
    if (size === undefined) throw unexpected(rank, `${this.#sizes.length} sizes`, 'one more');
    const expected = describeRow({ ...size, index: next });
    const found = describeRow({ bytes, count, dataType, reduceOp, index });
    if (found !== expected) throw unexpected(rank, expected, found);
    const measured = [report.outOfPlace, report.inPlace].filter((one) => one !== null);
    const checked = measured.every(({ wrong }) => (wrong !== null) === this.options.check);
    if (!checked) throw unexpected(rank, `check ${this.options.check}`, 'the opposite');
  }

  /** `reports` of all ranks, by rank. */
  #row(reports: readonly SizeReport[], last: SizeReport): BenchRow {
    const { bytes, count, dataType, reduceOp, choice } = last;
    const { collective, root } = this.options;
    const figures = (place: 'outOfPlace' | 'inPlace'): BenchFigures | null => {
      const ofRanks = reports.map((report) => report[place]).filter((one) => one !== null);
      return ofRanks.length === reports.length ? this.#combine(bytes, ofRanks) : null;
    };
    return {
      size: bytes,
      count,
      type: dataType,
      redop: reduceOp,
      root: BLOCKS[COLLECTIVE_WORDS[collective]].rooted ? root : -1,
      outOfPlace: figures('outOfPlace'),
      inPlace: figures('inPlace'),
      choice,
    };
  }

  #combine(bytes: number, ofRanks: readonly Measurement[]): BenchFigures {
    const timeUs = Math.max(...ofRanks.map((one) => one.timeUs));
    const algBw = algorithmBandwidth(bytes, timeUs);
    const busBw = algBw * busBandwidthFactor(this.options.collective, this.nranks);
    const wrong = this.options.check
      ? ofRanks.reduce((sum, one) => sum + (one.wrong ?? 0), 0)
      : null;
    const digests = ofRanks.map(({ digest }) => digest).filter((digest) => digest !== null);
    return { timeUs, algBw, busBw, wrong, digests };
  }

  #figures(): readonly BenchFigures[] {
    return this.#rows
      .flatMap(({ outOfPlace, inPlace }) => [outOfPlace, inPlace])
      .filter((figures) => figures !== null);
  }
}

interface RowDescription extends Omit<BenchSize, 'dataType' | 'reduceOp'> {
  readonly index: number;
  readonly dataType: string;
  readonly reduceOp: string;
}

function describeRow({ index, bytes, count, dataType, reduceOp }: RowDescription): string {
  return `size ${index} of ${bytes} bytes, count ${count}, ${dataType}, ${reduceOp}`;
}

function unexpected(rank: number, expected: string, found: string): HlsimError {
  return new HlsimError(
    'HLSIM_PROTOCOL_ERROR',
    `Expected ${expected} from rank ${rank} but found: ${found}: run the same version of hlsim on all hosts`,
    { fields: { rank } },
  );
}
